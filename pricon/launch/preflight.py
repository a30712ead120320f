"""What is planned, checked and shown before anything starts or is written."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pricon.corpus.index import WindowIndex
from pricon.errors import PlanError
from pricon.plan.leakage import Check, check_leakage
from pricon.plan.plan import Cell, Plan
from pricon.plan.summary import CorpusSummary
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.train.windows import LabelledWindows, SplitPart


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldBalance:
    """Kept windows of one cell and their classes, by split."""

    cell: Cell
    num_windows: dict[str, int]
    share_high: dict[str, float]


class Recordings(Protocol):
    """A built corpus, or a survey of one that is not built yet."""

    @property
    def summary(self) -> CorpusSummary:
        """Sessions and modalities."""
        ...

    def index(self, stimuli: tuple[str, ...] = ()) -> WindowIndex:
        """Windows of these stimuli."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that has passed every check; what a dry run shows."""

    job: JobSpec
    plan: Plan
    checks: tuple[Check, ...]
    balances: tuple[FoldBalance, ...]


def prepare(job: JobSpec, recordings: Recordings, only_folds: tuple[int, ...] | None) -> Prepared:
    """Plan and check; starts and writes nothing.

    Raises:
        PlanError: the job asks for what these recordings cannot give, or something would leak.
    """
    plan = plan_trials(job, recordings.summary, only_folds)
    checks = check_leakage(plan, recordings.summary)
    balances = check_classes(plan, job, recordings)
    return Prepared(job=job, plan=plan, checks=checks, balances=balances)


def check_classes(plan: Plan, job: JobSpec, recordings: Recordings) -> tuple[FoldBalance, ...]:
    """Balance of every cell; reads no features.

    Raises:
        PlanError: a split has no window of a class that it needs, or the contrastive loss nothing
            to tell apart.
    """
    is_contrastive = any(stage.objective == "contrastive" for stage in plan.stages)
    groups: dict[tuple[str, ...], LabelledWindows] = {}
    balances = []
    for cell in plan.cells:
        if cell.stimuli not in groups:
            groups[cell.stimuli] = LabelledWindows(recordings.index(cell.stimuli), job)
        windows = groups[cell.stimuli]
        for part in windows.parts:
            _check_split(cell, part, windows, job)
        if is_contrastive:
            _check_contrast(cell, windows, job)
        balances.append(
            FoldBalance(
                cell=cell, num_windows=windows.counts(cell), share_high=windows.share_high(cell)
            )
        )
    return tuple(balances)


def _check_split(cell: Cell, part: SplitPart, windows: LabelledWindows, job: JobSpec) -> None:
    labels = windows.labels(cell)[windows.rows(cell, part)]
    needed = (0, 1) if part == "train" or job.folds.require_all_classes else ()
    missing = [
        name
        for label, name in ((0, "low"), (1, "high"))
        if label in needed and not np.any(labels == label)
    ]
    if not len(labels) or missing:
        people = getattr(cell.split, part)
        shown = ", ".join(people[:4]) + (f" and {len(people) - 4} more" if len(people) > 4 else "")
        what = f"of class `{missing[0]}`" if len(labels) else "outside the margin"
        raise PlanError(
            f"{_where(cell)} has no {part} window {what} (participants {shown})",
            "lower `folds.count` or `label.margin`, or mend `label.threshold`"
            if part == "train" or not len(labels)
            else "lower `folds.count` or `label.margin`, or set `folds.require_all_classes: false`",
        )


def _check_contrast(cell: Cell, windows: LabelledWindows, job: JobSpec) -> None:
    """Pretraining needs windows that are not alike, and early stopping two that are."""
    spec = job.teacher.contrastive
    kinds = windows.contrast(cell)
    training = np.unique(kinds[windows.contrast_rows(cell, "train")])
    _, held_out = np.unique(kinds[windows.contrast_rows(cell, "validation")], return_counts=True)
    rule = f"`teacher.contrastive.contrast: {spec.contrast}`"
    if len(training) < 2:
        what = "are alike" if len(training) else "say nothing"
        raise PlanError(
            f"{_where(cell)}: all train windows {what} under {rule}",
            "set `teacher.contrastive.change_threshold`, for example to `training_median`"
            if spec.contrast == "change" and len(training)
            else "choose another `teacher.contrastive.contrast`",
        )
    if held_out.max(initial=0) < (1 if spec.include_self else 2):
        raise PlanError(
            f"{_where(cell)}: no two validation windows are alike under {rule}",
            "lower `folds.count` or raise `folds.validation_minimum`",
        )


def _where(cell: Cell) -> str:
    return f"fold {cell.fold} (seed {cell.seed}, {cell.stimulus}, {cell.affect})"
