"""Sentences that the numbers of a complete report allow, and no others.

Interval and test over participants condition on the trained models, so neither knows how much of a
difference is training noise. Only seeds that agree let a sentence speak of arms and not of models.

The interval gives every fold the same weight, a test every participant, and Wilcoxon's looks at
ranks. The two can point different ways; nothing follows then, and the sentence says so.
"""

from collections.abc import Sequence
from math import isnan, nan

from pricon.report.comparisons import SHARED_ARMS
from pricon.report.significance import holm
from pricon.report.summary import MACRO_AVERAGE, Block, Comparison, Report
from pricon.report.tables import comparisons
from pricon.report.yardstick import Yardstick

ALPHA = 0.05

PARTICIPANTS_ARE_THE_UNIT = (
    "Windows of one participant are not independent, so participants are the unit of every "
    "interval and test."
)

NOT_JUDGED = (
    "These arms say nothing about PriCon's claims: H1 compares pricon with lupi, H2 with e2e, H3 "
    "with all_modalities."
)

GENERATED = "The recordings are generated, so none of this says anything about people."


HYPOTHESES = {
    ("pricon", "lupi"): "H1",
    ("pricon", "e2e"): "H2",
    ("pricon", "all_modalities"): "H3",
    ("pricon", "pricon_shuffled"): "Control",
    ("pricon", "pricon_random"): "Control",
    ("all_modalities", "time_only"): "Control",
}
"""What PriCon claims: to beat conventional LUPI and end-to-end models, and to be comparable to
models that have all modalities. And controls: what it must beat for its teacher to be the reason,
and what all modalities must beat to be more than a clock."""

JUDGED = (*HYPOTHESES, ("lupi", "e2e"))


def pronounce(report: Report) -> tuple[str, ...]:
    """What a complete report says, one sentence a comparison; empty without comparisons.

    With several stimuli only their macro average is judged: one sentence a stimulus and arm would
    be a search for the table that suits. Several available sets would be another one, so p values
    are adjusted over all comparisons of all tables judged, those without a sentence included: no
    sentence is then more lenient than its table.

    Args:
        report: complete, with its blocks.
    """
    averages = [block for block in report.blocks if block.stimulus == MACRO_AVERAGE]
    judged = averages or list(report.blocks)
    num_affects = len({block.affect for block in report.blocks})
    family = _family(judged)
    p_values = holm([comparison.p_value for _, comparison in family])
    num_tests = sum(not isnan(p) for p in p_values)
    p_equivalents = holm([c.p_equivalent if _is_h3(c) else nan for _, c in family])
    sentences: list[str] = []
    for block in judged:
        told = [
            f"{_place(block, comparison, several=num_affects > 1)}, "
            + (
                judge_equivalence(comparison, p_equivalent, report.statistics.margin)
                if _is_h3(comparison)
                else judge(comparison, p_value, num_tests, report.yardstick)
            )
            for (of, comparison), p_value, p_equivalent in zip(
                family, p_values, p_equivalents, strict=True
            )
            if of is block and (comparison.arm, comparison.reference) in JUDGED
        ]
        sentences += [*told, *(_no_gap(block, several=num_affects > 1) if told else [])]
    if not sentences:
        return (NOT_JUDGED,) if family else ()
    return (*sentences, PARTICIPANTS_ARE_THE_UNIT, *([GENERATED] if report.generated else []))


def _family(blocks: Sequence[Block]) -> list[tuple[Block, Comparison]]:
    """All comparisons; of two arms that tables share, the first table's stands for all."""
    found: dict[tuple[str, ...], tuple[Block, Comparison]] = {}
    for block in blocks:
        for comparison in comparisons(block):
            key = block.stimulus, block.affect, comparison.arm, comparison.reference
            is_shared = {*key[2:]} <= {*SHARED_ARMS}
            found.setdefault(key if is_shared else (*key, block.available), (block, comparison))
    return list(found.values())


def _is_h3(comparison: Comparison) -> bool:
    return HYPOTHESES.get((comparison.arm, comparison.reference)) == "H3"


def _place(block: Block, comparison: Comparison, *, several: bool) -> str:
    """Where a comparison was made; names the affect where a job predicts several."""
    hypothesis = HYPOTHESES.get((comparison.arm, comparison.reference))
    stimuli = ", averaged over stimuli" if block.stimulus == MACRO_AVERAGE else ""
    affect = f" for {block.affect}" if several else ""
    place = f"with {block.available} available{affect}{stimuli}"
    return f"{hypothesis}: {place}" if hypothesis else place.capitalize()


def _no_gap(block: Block, *, several: bool) -> list[str]:
    """Where all modalities are no better, there is nothing to distil."""
    reference = block.arm("all_modalities")
    if reference is None or reference.minus_e2e is None:
        return []
    gap = reference.minus_e2e.difference.value
    if gap > 0:
        return []
    place = _place(block, reference.minus_e2e, several=several)
    return [
        f"{place}, all_modalities minus e2e is {gap:+.3f}: there is no gap that an arm could close."
    ]


def judge_equivalence(comparison: Comparison, p_value: float, margin: float) -> str:
    """Whether two arms are comparable, in words.

    Args:
        comparison: of a complete report.
        p_value: of its equivalence test, adjusted by Holm over those of the report.
        margin: arms that differ by less are comparable.
    """
    seen, is_known = _seen(comparison)
    if not is_known:
        return seen
    test = f"TOST over participants: p {_p_value(p_value)}"
    is_within = -margin < comparison.difference.low and comparison.difference.high < margin
    match p_value < ALPHA, is_within:
        case True, True:
            follows = f"they are comparable, the difference is shown to be below {margin:g}"
        case True, False:
            follows = (
                f"the test finds less than {margin:g}, but the interval reaches beyond it, so that "
                "they are comparable is not shown"
            )
        case False, True:
            follows = (
                f"the interval lies within {margin:g}, but the test does not confirm it, so that "
                "they are comparable is not shown"
            )
        case _:
            follows = f"that they are comparable within {margin:g} is not shown"
    return f"{seen}: {follows} ({test})."


def judge(comparison: Comparison, p_value: float, num_tests: int, yardstick: Yardstick) -> str:
    """One comparison in words: the numbers first, then what follows from them.

    Args:
        comparison: of a complete report.
        p_value: its Wilcoxon test over participants, adjusted by Holm.
        num_tests: over so many comparisons.
        yardstick: what was compared.
    """
    seen, is_known = _seen(comparison)
    if not is_known:
        return seen
    over = "1 comparison" if num_tests == 1 else f"{num_tests} comparisons"
    test = f"Wilcoxon over participants, Holm over {over}: p {_p_value(p_value)}"
    amount = yardstick.amount(comparison.difference.value) if p_value < ALPHA else None
    return f"{seen}: {_what_follows(comparison, amount, test=test)}"


def _seen(c: Comparison) -> tuple[str, bool]:
    """The numbers, and whether anything can follow from them."""
    seen = f"{c.arm} minus {c.reference} is {c.difference.value:+.3f}"
    people = f"over {c.num_participants} participants"
    if not c.difference.has_interval:
        return f"{seen} {people}: too few for an interval, so these data show nothing.", False
    return f"{seen} [{c.difference.low:+.3f}, {c.difference.high:+.3f}] {people}", True


def _what_follows(c: Comparison, amount: str | None, test: str) -> str:
    """In words; `amount` is None where the test finds nothing."""
    if c.difference.low <= 0 <= c.difference.high:
        if amount is not None:
            return (
                f"the interval includes zero, although the test points {_side(c.rank_biserial)} "
                f"zero, so a difference is not established ({test})."
            )
        detectable = (
            ""
            if isnan(c.smallest_detectable) or c.smallest_detectable < 0.0005
            else f"; differences below {c.smallest_detectable:.3f} are beyond this sample"
        )
        return (
            "the interval includes zero, so these data do not show a difference "
            f"({test}{detectable})."
        )
    side = _side(c.difference.value)
    if amount is None or side != _side(c.rank_biserial):
        but = "the test does not confirm it" if amount is None else "the test points the other way"
        return (
            f"the interval lies {side} zero, but {but}, "
            f"so a difference is not established ({test})."
        )
    return f"the interval excludes zero and the test agrees, {_direction(c, amount)} ({test})."


def _side(value: float) -> str:
    return "above" if value > 0 else "below"


def _direction(c: Comparison, amount: str) -> str:
    """What interval and test together show, as far as the seeds let them."""
    sign, direction = (1, "higher") if c.difference.value > 0 else (-1, "lower")
    num_seeds, num_agreeing = len(c.by_seed), c.num_seeds(sign)
    here = f"so {c.arm} is {direction} than {c.reference} for the models trained here, by {amount},"
    if num_agreeing < num_seeds:
        return (
            f"{here} but its sign changes with the seed ({direction} in {num_agreeing} of "
            f"{num_seeds} seeds), so training noise may explain it"
        )
    if num_seeds == 1:
        return f"{here} but with a single seed training noise may explain it"
    return (
        f"and so does each of the {num_seeds} seeds, "
        f"so {c.arm} is {direction} than {c.reference} by {amount}"
    )


def _p_value(value: float) -> str:
    if isnan(value):
        return "unknown"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
