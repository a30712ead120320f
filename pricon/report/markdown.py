"""report.md: the whole report as a Markdown page, for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan

from pricon.report import sensitivity, tables
from pricon.report.summary import ArmSummary, Block, Comparison, FoldSummary, Report
from pricon.report.surface import Surface
from pricon.report.training import still_improving
from pricon.report.yardstick import Yardstick
from pricon.spec.task import Task

METHOD = """\
H1, H2 and H3 are what PriCon claims: to beat conventional LUPI, to beat end-to-end models, and to
be comparable to models that have all modalities. Controls: what it gains over a teacher of
shuffled labels, and over one whose encoder nobody trained, is what its teacher taught; what all
modalities gain over the time in the session is what they know besides how late it is.

{definition} of a fold's test split, mean over folds, then over seeds.
{beside}Intervals in brackets are 95 % percentile intervals of a bootstrap over participants
({resamples:,} resamples, the same for every arm, so differences are paired).
A resample passes over a fold of which it drew nobody, and {undefined}.
With few participants such intervals cover somewhat less than 95 %.
Intervals and tests over participants condition on the trained models: they say what other
participants might have shown, not what training again might have shown. Training noise enters
neither. `seeds` counts the seeds whose difference is above (+), below (-) or exactly (=) zero;
where they disagree, training noise may explain a difference that interval and test find.

`p (participants)` is a two-sided paired Wilcoxon test over participants, each one's {name}
averaged over seeds, adjusted by Holm over the comparisons of its table. The sentences about what
the data show adjust it over the comparisons of all tables that they judge, taken together.
`p (fold x seed)` is the test of earlier papers, over fold x seed pairs, adjusted by Bonferroni.
Alone it is weak: seeds are not independent replicates, and folds alone are too few (five cannot
fall below p = 0.0625).
`detectable` is the smallest difference that this sample finds with 80 % power at alpha 0.05 in a
single test; adjusted over a table it takes more.
`p (comparable)` is that of two one-sided t tests over participants (TOST): where it is small, the
difference is shown to be less than {margin:g}, either way.
No test is made over windows: windows of one participant are not independent.
`gap closed` is (arm - e2e) / (all_modalities - e2e), where the interval of the gap lies above zero.
"""

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
        lines += _block(block, report)
    if ran_out := still_improving(row.result for row in report.trials):
        lines += ["## Training", "", *_bullets(ran_out)]
    lines += ["## How to read this", "", method(report)]
    lines += [f"## {fold_title(report.task)}", "", *_folds(report.folds, report.task)]
    lines += ["## Origin", "", *_bullets([*origin(report), *map(note, notes.items())])]
    return "\n".join(lines).rstrip("\n") + "\n"


def method(report: Report) -> str:
    """What intervals and tests mean, in paragraphs."""
    spec, words = report.statistics, report.yardstick
    if report.judged_on == "validation":
        return sensitivity.method(report.surfaces, words, spec.resamples)
    return METHOD.format(
        resamples=spec.resamples,
        margin=spec.margin,
        name=words.name,
        definition=words.definition,
        beside=words.beside,
        undefined=words.undefined,
    )


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


def _block(block: Block, report: Report) -> Iterator[str]:
    yield f"### {tables.caption(block)}"
    yield ""
    yield from _table(tables.headings(report.yardstick), map(tables.cells, block.arms))
    yield from _table(metric_headings(report.yardstick), map(metric_cells, block.arms))
    if compared := tables.comparisons(block):
        yield from _table(COMPARISON_HEADINGS, map(comparison_cells, compared))
    if report.complete:
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
    yield from _bullets(sensitivity.remarks(surface))


def metric_headings(yardstick: Yardstick) -> tuple[str, ...]:
    """Of the columns with all metrics but the primary one."""
    return ("arm", "sees", *yardstick.metrics[1:], f"its teacher's {yardstick.name}")


def metric_cells(row: ArmSummary) -> tuple[str, ...]:
    """An arm under `metric_headings`."""
    _, *others = row.metrics.values()
    cells = map(tables.estimate, others)
    return (row.arm, row.modality or tables.NOTHING, *cells, _number(row.teacher_score))


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


def fold_title(task: Task) -> str:
    """Of the section about folds."""
    return f"Windows and {'classes' if task == 'classification' else 'affect'} of each fold"


def _folds(folds: Sequence[FoldSummary], task: Task) -> Iterator[str]:
    if not folds:
        yield "No trial told its windows."
        yield ""
        return
    headings, *rows = fold_rows(folds, task)
    yield from _table(headings, rows)
    yield "Numbers of windows; means over seeds, which move the validation participants."
    yield ""


def fold_rows(folds: Sequence[FoldSummary], task: Task) -> list[tuple[str, ...]]:
    """Headings, then windows of each fold and their classes or affect."""
    parts = ("train", "validation", "test", "dropped")
    labels = _CLASS_HEADINGS if task == "classification" else _VALUE_HEADINGS
    rows = [
        (
            f"{fold.stimulus} {fold.affect} {fold.fold}",
            *(_count(fold.num_windows[key]) for key in parts),
            *map(_number, _classes(fold) if task == "classification" else _values(fold)),
        )
        for fold in folds
    ]
    return [("fold", *parts, *labels), *rows]


_CLASS_HEADINGS = ("high in train", "high in test", "majority baseline")
_VALUE_HEADINGS = ("mean in train", "mean in test", "sd in train", "sd in test", "rmse of the mean")


def _classes(fold: FoldSummary) -> tuple[float, ...]:
    return fold.share_high["train"], fold.share_high["test"], fold.majority_accuracy


def _values(fold: FoldSummary) -> tuple[float, ...]:
    mean, sd = fold.affect_mean, fold.affect_sd
    return mean["train"], mean["test"], sd["train"], sd["test"], fold.constant_rmse


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
