"""report.md: the whole report as a Markdown page, for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan

from pricon.report import sensitivity, tables
from pricon.report.metrics import METRICS
from pricon.report.summary import ArmSummary, Block, Comparison, FoldSummary, Report
from pricon.report.surface import Surface
from pricon.report.training import still_improving

METHOD = """\
H1, H2 and H3 are what PriCon claims: to beat conventional LUPI, to beat end-to-end models, and to
be comparable to models that have all modalities. Controls: what it gains over a teacher of
shuffled labels, and over one whose encoder nobody trained, is what its teacher taught; what all
modalities gain over the time in the session is what they know besides how late it is.

Accuracy over all kept windows of a fold's test split, mean over folds, then over seeds.
Intervals in brackets are 95 % percentile intervals of a bootstrap over participants
({resamples:,} resamples, the same for every arm, so differences are paired).
A resample passes over a fold of which it drew nobody, and for AUROC one of which it drew windows
of one class only.
Intervals and tests over participants condition on the trained models: they say what other
participants might have shown, not what training again might have shown. Training noise enters
neither. `seeds` counts the seeds whose difference is above (+), below (-) or exactly (=) zero;
where they disagree, training noise may explain a difference that interval and test find.

`p (participants)` is a two-sided paired Wilcoxon test over participants, each one's accuracy
averaged over seeds, adjusted by Holm over the comparisons of its table. The sentences about what
the data show adjust it over the comparisons of all tables that they judge, taken together.
`p (fold x seed)` is the test of earlier papers, over fold x seed pairs, adjusted by Bonferroni.
Alone it is weak: seeds are not independent replicates, and five folds alone cannot fall below
p = 0.0625.
`detectable` is the smallest difference that this sample finds with 80 % power at alpha 0.05 in a
single test; adjusted over a table it takes more.
`p (comparable)` is that of two one-sided t tests over participants (TOST): where it is small, the
difference is shown to be less than {margin:g}, either way.
No test is made over windows: windows of one participant are not independent.
`gap closed` is (arm - e2e) / (all_modalities - e2e), where the interval of the gap lies above zero.
"""

_OTHERS = tuple(name for name in METRICS if name != "accuracy")

METRIC_HEADINGS = ("arm", "sees", *_OTHERS, "its teacher's accuracy")

COMPARISON_HEADINGS = (
    "comparison",
    "difference",
    "seeds",
    "p (participants)",
    "p (fold x seed)",
    "detectable",
    "p (comparable)",
)

NOT_CAUSAL = (
    "standardise: each session was z-scored over its whole length, which looks into the future "
    "of a window; these numbers do not hold for a model that runs while a session goes on."
)


def markdown(report: Report, notes: Mapping[str, str]) -> str:
    """The page.

    Args:
        report: what was found.
        notes: label -> sentence, printed as they come; `standardise: session` is explained.
    """
    title, *warnings = tables.headlines(report)
    lines = [f"# {': '.join([title, *warnings])}", ""]
    lines += _bullets(tables.unfinished_lines(report))
    if report.verdict:
        lines += ["## What the data show", "", *_bullets(report.verdict)]
    lines += ["## Settings" if report.surfaces else "## Arms", ""]
    for surface in report.surfaces:
        lines += _surface(surface)
    for block in report.blocks:
        lines += _block(block, complete=report.complete)
    if ran_out := still_improving(row.result for row in report.trials):
        lines += ["## Training", "", *_bullets(ran_out)]
    lines += ["## How to read this", "", method(report)]
    lines += ["## Windows and classes of each fold", "", *_folds(report.folds)]
    lines += ["## Origin", "", *_bullets([*origin(report), *map(note, notes.items())])]
    return "\n".join(lines).rstrip("\n") + "\n"


def method(report: Report) -> str:
    """What intervals and tests mean, in paragraphs."""
    spec = report.statistics
    if report.judged_on == "validation":
        return sensitivity.METHOD.format(resamples=spec.resamples)
    return METHOD.format(resamples=spec.resamples, margin=spec.equivalence_margin)


def note(labelled: tuple[str, str]) -> str:
    """One note in a sentence."""
    if labelled == ("standardise", "session"):
        return NOT_CAUSAL
    return f"{labelled[0]}: {labelled[1]}"


def origin(report: Report) -> list[str]:
    """What the report was made from."""
    return [
        f"job: {report.job_name}",
        f"run: {report.run_id}",
        f"corpus manifest: sha256 {report.corpus_digest}",
    ]


def _block(block: Block, complete: bool) -> Iterator[str]:
    yield f"### {tables.caption(block)}"
    yield ""
    yield from _table(tables.HEADINGS, map(tables.cells, block.arms))
    yield from _table(
        METRIC_HEADINGS,
        map(metric_cells, block.arms),
    )
    if compared := tables.comparisons(block):
        yield from _table(COMPARISON_HEADINGS, map(comparison_cells, compared))
    if complete:
        yield from _bullets(_gap_notes(block))


def _surface(surface: Surface) -> Iterator[str]:
    yield f"### {sensitivity.caption(surface)}"
    yield ""
    for panel in sensitivity.panels(surface):
        if panel.title:
            yield f"{panel.title}:"
            yield ""
        headings, *rows = panel.rows()
        yield from _table(headings, rows)
    yield f"The job's own setting: {surface.own}."
    yield ""


def metric_cells(row: ArmSummary) -> tuple[str, ...]:
    """An arm under `METRIC_HEADINGS`."""
    others = (tables.estimate(row.metrics[name]) for name in _OTHERS)
    return (row.arm, row.modality or tables.NOTHING, *others, _number(row.teacher_accuracy))


def comparison_cells(c: Comparison) -> tuple[str, ...]:
    """A comparison under `COMPARISON_HEADINGS`."""
    return (
        f"{c.arm} - {c.reference}",
        tables.estimate(c.difference, sign="+"),
        tables.seeds(c),
        _p_value(c.p_holm),
        _p_value(c.p_fold_seed),
        _number(c.smallest_detectable),
        _p_value(c.p_equivalent),
    )


def _gap_notes(block: Block) -> Iterator[str]:
    for row in block.arms:
        gap = row.gap_closed
        if gap is not None and gap.num_without_gap:
            yield (
                f"gap closed by {row.arm}: {gap.num_without_gap} of {gap.num_resamples:,} "
                "resamples have no gap, left out of the interval"
            )


def _folds(folds: Sequence[FoldSummary]) -> Iterator[str]:
    if not folds:
        yield "No trial told its windows."
        yield ""
        return
    headings, *rows = fold_rows(folds)
    yield from _table(headings, rows)
    yield "Numbers of windows; means over seeds, which move the validation participants."
    yield ""


def fold_rows(folds: Sequence[FoldSummary]) -> list[tuple[str, ...]]:
    """Headings, then windows and classes of each fold."""
    parts = ("train", "validation", "test", "dropped")
    headings = ("fold", *parts, "high in train", "high in test", "majority baseline")
    rows = [
        (
            f"{fold.stimulus} {fold.affect} {fold.fold}",
            *(_count(fold.num_windows[key]) for key in parts),
            _number(fold.share_high["train"]),
            _number(fold.share_high["test"]),
            _number(fold.majority_accuracy),
        )
        for fold in folds
    ]
    return [headings, *rows]


def _count(value: float) -> str:
    return tables.NOTHING if isnan(value) else f"{value:,.0f}"


def _number(value: float) -> str:
    return tables.NOTHING if isnan(value) else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else _number(value)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table with aligned columns, so that it also reads well as plain text."""
    grid = [tuple(headings), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    aligned = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in grid
    ]
    yield aligned[0]
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield from aligned[1:]
    yield ""


def _bullets(items: Iterable[str]) -> list[str]:
    bullets = [f"- {item}" for item in items]
    return [*bullets, ""] if bullets else []
