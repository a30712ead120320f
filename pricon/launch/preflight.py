"""What is planned, checked and shown before anything starts or is written."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import Corpus
from pricon.corpus.stream import room_for
from pricon.errors import PlanError
from pricon.plan.leakage import Check, check_leakage
from pricon.plan.plan import CLASS_STAGES, Cell, Plan
from pricon.plan.summary import CorpusSummary
from pricon.plan.trials import plan_trials
from pricon.report.embeddings import check_projection
from pricon.spec.job import JobSpec
from pricon.train.windows import LabelledWindows, SplitPart


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldBalance:
    """Windows of one cell that have a label, and their classes or affect, by split.

    Args:
        cell: of the plan.
        num_windows: by split, and `dropped`.
        share_high: share of class high; empty under regression.
        affect: mean and standard deviation; empty under classification.
    """

    cell: Cell
    num_windows: dict[str, int]
    share_high: dict[str, float]
    affect: dict[str, tuple[float, float]]


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
        SpecError: it asks for what this installation does not have.
        CorpusError: it streams into a buffer that is too small for the corpus' shards.
    """
    check_projection(job.report.maps)
    streaming = job.optimisation.streaming
    if streaming is not None and isinstance(recordings, Corpus):
        room_for(recordings, job.modalities.everything, int(streaming.buffer_mb * 10**6))
    plan = plan_trials(job, recordings.summary, only_folds)
    checks = check_leakage(plan, recordings.summary)
    balances = check_classes(plan, job, recordings)
    return Prepared(job=job, plan=plan, checks=checks, balances=balances)


def check_classes(plan: Plan, job: JobSpec, recordings: Recordings) -> tuple[FoldBalance, ...]:
    """Balance of every cell; reads no features.

    Raises:
        PlanError: a split has no window of a class that it needs, or no window at all, affect does
            not vary, or the contrastive loss has nothing to tell apart.
    """
    objectives = {stage.objective for stage in plan.stages}
    has_classes = job.task == "classification" or bool(objectives & CLASS_STAGES)
    groups: dict[tuple[str, ...], LabelledWindows] = {}
    balances = []
    for cell in plan.cells:
        if cell.stimuli not in groups:
            groups[cell.stimuli] = LabelledWindows(recordings.index(cell.stimuli), job)
        windows = groups[cell.stimuli]
        for part in windows.parts:
            if job.task == "regression":
                _check_values(cell, part, windows)
            if has_classes:
                _check_split(cell, part, windows.contrastive, job)
        if "contrastive" in objectives:
            _check_contrast(cell, windows, job)
        balances.append(
            FoldBalance(
                cell=cell,
                num_windows=windows.counts(cell),
                share_high=windows.share_high(cell),
                affect=windows.affect(cell),
            )
        )
        windows.forget()  # a large plan has more cells than there is room for
    return tuple(balances)


def _check_values(cell: Cell, part: SplitPart, windows: LabelledWindows) -> None:
    if not len(windows.rows(cell, part)):
        raise PlanError(
            f"{_where(cell)} has no annotated {part} window ({_people(cell, part)})",
            "lower `folds.count`, or build the corpus with windows that are annotated",
        )
    if part == "train" and not windows.unit(cell).kept.all():
        raise PlanError(
            f"{_where(cell)}: {cell.affect} is the same in all train windows, so there is nothing "
            f"to predict ({_people(cell, part)})",
            "look at the annotation of these participants",
        )


def _check_split(cell: Cell, part: SplitPart, windows: LabelledWindows, job: JobSpec) -> None:
    labels = windows.labels(cell)[windows.rows(cell, part)]
    needed = (0, 1) if part == "train" or job.folds.require_all_classes else ()
    missing = [
        name
        for label, name in ((0, "low"), (1, "high"))
        if label in needed and not np.any(labels == label)
    ]
    if not len(labels) or missing:
        what = f"of class `{missing[0]}`" if len(labels) else "outside the margin"
        raise PlanError(
            f"{_where(cell)} has no {part} window {what} ({_people(cell, part)})",
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


def _people(cell: Cell, part: SplitPart) -> str:
    people = getattr(cell.split, part)
    shown = ", ".join(people[:4]) + (f" and {len(people) - 4} more" if len(people) > 4 else "")
    return f"participants {shown}"


def _where(cell: Cell) -> str:
    return f"fold {cell.fold} (seed {cell.seed}, {cell.stimulus}, {cell.affect})"
