"""What a dry run prints: trials, stages, lanes, checks, and the labels of every fold."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from pricon.launch.preflight import FoldBalance, Prepared


def show_plan(prepared: Prepared, console: Console) -> None:
    """Print everything that would run; nothing does."""
    plan = prepared.plan
    digest = plan.corpus_digest[:16]
    title = f"{plan.job_name} (run {plan.run_id})" if digest else plan.job_name
    console.print(f"{title}: {len(plan.trials)} trials", style="bold", highlight=False)
    if plan.generated:
        console.print("generated data: says nothing about people")
    state = f"digest {digest}" if digest else "(not built yet)"
    corpus = f"corpus {prepared.job.corpus.uri}  {state}"
    console.print(corpus, soft_wrap=True, highlight=False)
    if plan.grid:
        console.print(f"{len(plan.grid)} settings, judged on validation participants alone")
    console.print()
    console.print(_trials(prepared))
    console.print(_stages(prepared))
    console.print(_lanes(prepared))
    console.print(_checks(prepared))
    console.print(_folds(prepared))


def _table(title: str, words: int, *headings: str) -> Table:
    """A table whose first `words` columns are words and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < words else "right")
    return table


def _trials(prepared: Prepared) -> Table:
    table = _table("trials", 2, "arm", "deployed model needs", "trials")
    counts = Counter((trial.arm, trial.modality or "-") for trial in prepared.plan.trials)
    for (arm, modality), count in counts.items():
        table.add_row(arm, modality, str(count))
    return table


def _stages(prepared: Prepared) -> Table:
    table = _table(
        "\nstages (shared teachers are trained once)", 3, "stage", "objective", "sees", "stages"
    )
    counts = Counter(
        (stage.role, stage.objective, "+".join(stage.modalities) or "-")
        for stage in prepared.plan.stages
    )
    for (role, objective, modalities), count in counts.items():
        table.add_row(role, objective, modalities, str(count))
    return table


def _lanes(prepared: Prepared) -> Table:
    plan = prepared.plan
    resources = prepared.job.resources
    table = _table("\nlanes", 2, "lane", "each worker", "workers", "cells", "stages")
    worker = f"{resources.cpus_per_worker:g} CPU"
    if resources.gpus_per_worker:
        worker += f", {resources.gpus_per_worker:g} GPU"
    for lane in plan.lanes:
        stages = sum(1 for _ in plan.stages_of(lane))
        numbers = (resources.workers_per_lane, len(lane.cells), stages)
        table.add_row(str(lane.index), worker, *map(str, numbers))
    return table


def _checks(prepared: Prepared) -> Table:
    table = _table("\nleakage checks", 2, "check", "passed: what was seen")
    for check in prepared.checks:
        table.add_row(check.name, check.seen)
    return table


def _folds(prepared: Prepared) -> Table:
    is_value = prepared.job.task == "regression"
    what = (
        "annotated windows and deviation of affect"
        if is_value
        else "kept windows and share of class high"
    )
    word = "sd" if is_value else "high"
    first = prepared.balances[0]
    parts = [part for part in ("train", "validation", "test") if part in first.num_windows]
    judge = parts[-1]
    table = _table(
        f"\nfolds (first seed): {what}",
        2,
        *("stimulus", "affect", "fold", *parts, "dropped", f"{word}, train", f"{word}, {judge}"),
    )
    for balance in (one for one in prepared.balances if one.cell.seed == first.cell.seed):
        counts = [str(balance.num_windows[part]) for part in (*parts, "dropped")]
        labels = [_label(balance, part) for part in ("train", judge)]
        cell = balance.cell
        table.add_row(cell.stimulus, cell.affect, str(cell.fold), *counts, *labels)
    return table


def _label(balance: FoldBalance, part: str) -> str:
    """Standard deviation of affect in a split, or its share of class high."""
    if balance.affect:
        return f"{balance.affect[part][1]:.3f}"
    return f"{balance.share_high[part]:.0%}"
