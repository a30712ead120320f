"""Sentences that the numbers of a complete report allow, and no others."""

from collections.abc import Sequence
from math import isnan

from pricon.report.summary import MACRO_AVERAGE, Block, Comparison

ALPHA = 0.05

PARTICIPANTS_ARE_THE_UNIT = (
    "Windows of one participant are not independent, so participants are the unit of every "
    "interval and test."
)


GENERATED = "The recordings are generated, so none of this says anything about people."


def pronounce(blocks: Sequence[Block], generated: bool) -> tuple[str, ...]:
    """What a complete report says, one sentence a comparison; empty without comparisons.

    With several stimuli only their macro average is judged: one sentence a stimulus and arm would
    be a search for the table that suits.
    """
    averages = [block for block in blocks if block.stimulus == MACRO_AVERAGE]
    sentences = [sentence for block in averages or blocks for sentence in _of_block(block)]
    if not sentences:
        return ()
    return (*sentences, PARTICIPANTS_ARE_THE_UNIT, *([GENERATED] if generated else []))


def _of_block(block: Block) -> list[str]:
    against_e2e = [row.minus_e2e for row in block.arms if row.arm in ("lupi", "pricon")]
    comparisons = [c for c in (*against_e2e, block.pricon_minus_lupi) if c is not None]
    stimuli = ", averaged over stimuli" if block.stimulus == MACRO_AVERAGE else ""
    place = f"With {block.available} available{stimuli}"
    sentences = [f"{place}, {judge(c)}" for c in comparisons]
    reference = block.arm("all_modalities")
    if comparisons and reference is not None and reference.minus_e2e is not None:
        gap = reference.minus_e2e.difference.value
        if gap <= 0:
            sentences.append(
                f"{place}, all_modalities minus e2e is {gap:+.3f}: "
                "there is no gap that an arm could close."
            )
    return sentences


def judge(comparison: Comparison) -> str:
    """One comparison in words: the numbers first, then what follows from them."""
    c = comparison
    seen = f"{c.arm} minus {c.reference} is {c.difference.value:+.3f}"
    people = f"over {c.num_participants} participants"
    if not c.difference.has_interval:
        return f"{seen} {people}: too few for an interval, so these data show nothing."
    numbers = f"{seen} [{c.difference.low:+.3f}, {c.difference.high:+.3f}] {people}"
    return f"{numbers}: {_what_follows(c)}"


def _what_follows(comparison: Comparison) -> str:
    c = comparison
    p_value = f"Wilcoxon over participants, Holm: p {_p_value(c.p_holm)}"
    if c.difference.low <= 0 <= c.difference.high:
        detectable = (
            ""
            if isnan(c.smallest_detectable)
            else f"; differences below {c.smallest_detectable:.3f} are beyond this sample"
        )
        return (
            "the interval includes zero, so these data do not show a difference "
            f"({p_value}{detectable})."
        )
    direction, side = ("higher", "above") if c.difference.value > 0 else ("lower", "below")
    if c.p_holm < ALPHA:
        return (
            "the interval excludes zero and the test agrees, "
            f"so {c.arm} is {direction} than {c.reference} ({p_value})."
        )
    return (
        f"the interval lies {side} zero, but the test does not confirm it, "
        f"so a difference is not established ({p_value})."
    )


def _p_value(value: float) -> str:
    if isnan(value):
        return "unknown"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
