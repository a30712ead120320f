"""A report for the terminal: title, tables, verdict. Owns the wording of the title.

Of several stimuli it shows the macro average whole and of each only the accuracies: nine tables
would hide the answer above the top of the screen, and stand in the files anyway.
Fits 80 columns and does without colour. `markdown` shows the same rows in a file.
"""

from collections.abc import Sequence
from itertools import groupby
from math import isnan

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pricon.report.estimate import Estimate
from pricon.report.results import TrialResult
from pricon.report.summary import ArmSummary, Block, Comparison, Report
from pricon.report.yardstick import Yardstick

MAIN_ARMS = ("e2e", "scl", "lupi", "pricon", "all_modalities")
"""Arms that get a column of their own, or a line in a figure, as far as a job has them."""

NAMED_AT_MOST = 10
"""So many unfinished trials a terminal names; the rest is counted. report.md names all."""

NOTHING = "-"


def terminal(report: Report) -> RenderableType:
    """All that a terminal shows of a report; hand it to a rich console."""
    parts: list[RenderableType] = [Text(line, style="bold") for line in headlines(report)]
    parts += [Text(line) for line in _some(unfinished_lines(report))]
    words = report.yardstick
    for _, group in groupby(report.blocks, key=lambda block: (block.affect, block.available)):
        first, *each = group
        parts += [Text(), Text(caption(first)), _table(first, words)]
        if each:
            parts += [Text(), Text(f"{words.name} {BY_STIMULUS}"), _by_stimulus(each)]
    if report.blocks:
        parts += [Text(), Text(legend(report.yardstick), style="dim")]
    if report.unfinished:
        parts.append(Text(LEGEND_UNFINISHED, style="dim"))
    if report.verdict:
        parts += [Text(), *(Text(sentence) for sentence in report.verdict)]
    return Group(*parts)


BY_STIMULUS = "by stimulus; whole tables with intervals and tests: see the report"
LEGEND_UNFINISHED = "(k/n): k of n trials finished; arms with different trials are not subtracted."


def legend(yardstick: Yardstick) -> str:
    """What the columns are."""
    name = yardstick.name[0].upper() + yardstick.name[1:]
    return (
        f"{name}: mean over folds, then seeds. [low, high]: 95 % over participants.\n"
        "Gap closed: (arm - e2e) / (all_modalities - e2e)."
    )


def headlines(report: Report) -> list[str]:
    """What the numbers are worth, before any of them: title, generated data, incompleteness."""
    lines = [f"{report.job_name} (run {report.run_id})"]
    if report.generated:
        lines.append("generated data: says nothing about people")
    if report.judged_on == "validation":
        lines.append("judged on validation participants: for choosing settings, not for claims")
    if report.unfinished:
        num = f"{len(report.unfinished)} of {len(report.trials)}"
        lines.append(f"INCOMPLETE: {num} trials missing or failed")
    if report.folds_asked is not None:
        folds = ", ".join(map(str, report.folds_asked))
        lines.append(f"INCOMPLETE: only folds {folds} of the job were asked for")
    return lines


def unfinished_lines(report: Report) -> list[str]:
    """Every unfinished trial, one a line."""
    return [_describe(result) for result in report.unfinished]


def _some(lines: Sequence[str]) -> list[str]:
    hidden = len(lines) - NAMED_AT_MOST
    return [*lines[:NAMED_AT_MOST], *([f"... and {hidden} more"] if hidden > 0 else [])]


def _describe(result: TrialResult) -> str:
    trial = result.trial
    arm = f"{trial.arm} ({trial.modality})" if trial.modality else trial.arm
    where = ", ".join(filter(None, (str(trial.setting), str(result.cell))))
    what = f"{result.status} {trial.id}: {arm}, {where}"
    return what if result.error is None else f"{what}: {result.error}"


def caption(block: Block) -> str:
    """What a table is about, in one line."""
    where = f"{block.stimulus}, {block.affect}, available: {block.available}"
    return f"{where}, {block.num_participants} participants"


def headings(yardstick: Yardstick) -> tuple[str, ...]:
    """Of the columns of a table of arms."""
    return ("arm", yardstick.name, "minus e2e (paired)", "gap closed")


def cells(row: ArmSummary) -> tuple[str, ...]:
    """A row of a table under `headings`."""
    arm = row.arm
    if row.num_finished < row.num_planned:
        arm = f"{row.arm} ({row.num_finished}/{row.num_planned})"
    difference = NOTHING if row.minus_e2e is None else estimate(row.minus_e2e.difference, sign="+")
    share = NOTHING if row.gap_closed is None else percent(row.gap_closed.share)
    return arm, estimate(row.primary), difference, share


def estimate(seen: Estimate, sign: str = "") -> str:
    """Value and interval with three decimals, such as `0.712 [0.690, 0.733]`."""
    if isnan(seen.value):
        return NOTHING
    number = f"{seen.value:{sign}.3f}"
    if not seen.has_interval:
        return number
    return f"{number} [{seen.low:{sign}.3f}, {seen.high:{sign}.3f}]"


def percent(seen: Estimate) -> str:
    """A share in percent with its interval, such as `63% [21, 104]`."""
    number = f"{100 * seen.value:.0f}%"
    if not seen.has_interval:
        return number
    return f"{number} [{100 * seen.low:.0f}, {100 * seen.high:.0f}]"


def seeds(comparison: Comparison) -> str:
    """Signs of the seeds' differences, such as `3+ 2-`; `1=` is a seed without a difference."""
    counts = ((comparison.num_seeds(sign), mark) for sign, mark in ((1, "+"), (-1, "-"), (0, "=")))
    return " ".join(f"{num}{mark}" for num, mark in counts if num) or NOTHING


def comparisons(block: Block) -> Sequence[Comparison]:
    """Every comparison of a table; its p values are adjusted over exactly these."""
    found = (*(row.minus_e2e for row in block.arms), *block.others)
    return [comparison for comparison in found if comparison is not None]


def _table(block: Block, yardstick: Yardstick) -> Table:
    table = _plain_table(headings(yardstick))
    for row in block.arms:
        table.add_row(*cells(row))
    return table


def _by_stimulus(blocks: Sequence[Block]) -> Table:
    """A row a stimulus, a column for each main arm."""
    arms = [arm for arm in MAIN_ARMS if blocks[0].arm(arm) is not None]
    table = _plain_table(("stimulus", *arms))
    for block in blocks:
        rows = [block.arm(arm) for arm in arms]
        found = [NOTHING if row is None else _primary(row) for row in rows]
        table.add_row(block.stimulus, *found)
    return table


def _primary(row: ArmSummary) -> str:
    """The primary metric alone, and of how many trials where some are not finished."""
    value = estimate(Estimate(value=row.primary.value))
    unfinished = row.num_finished < row.num_planned
    return f"{value} ({row.num_finished}/{row.num_planned})" if unfinished else value


def _plain_table(headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading == headings[0])
    return table
