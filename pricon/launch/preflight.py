"""What is checked and shown before anything starts: classes in every split, and leakage."""

from dataclasses import dataclass

import numpy as np

from pricon.corpus.reader import Corpus
from pricon.errors import PlanError
from pricon.plan.plan import Cell, Plan
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.spec.job import JobSpec
from pricon.train.windows import GroupWindows, SplitPart

_PARTS: tuple[SplitPart, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldBalance:
    """Kept windows of one cell and their classes, by split."""

    cell: Cell
    num_windows: dict[str, int]
    share_high: dict[str, float]


def summary_of(corpus: Corpus) -> CorpusSummary:
    """What planning needs to know of a corpus."""
    manifest = corpus.manifest
    return CorpusSummary(
        digest=manifest.digest,
        generated=manifest.generated,
        modalities=tuple(modality.name for modality in manifest.modalities),
        affects=manifest.affects,
        sessions=tuple(
            RecordedSession(
                id=session.id,
                participant=session.participant,
                stimulus=session.stimulus,
                sha256=session.sha256,
            )
            for session in manifest.sessions
        ),
    )


def check_classes(plan: Plan, job: JobSpec, corpus: Corpus) -> tuple[FoldBalance, ...]:
    """Balance of every cell; reads the index of the corpus, no features.

    Raises:
        PlanError: a split has no window of a class that it needs.
    """
    groups: dict[tuple[str, ...], GroupWindows] = {}
    balances = []
    for cell in plan.cells:
        if cell.stimuli not in groups:
            groups[cell.stimuli] = GroupWindows(corpus, job, cell.stimuli)
        windows = groups[cell.stimuli]
        for part in _PARTS:
            _check_split(cell, part, windows, job)
        balances.append(
            FoldBalance(
                cell=cell, num_windows=windows.counts(cell), share_high=windows.share_high(cell)
            )
        )
    return tuple(balances)


def _check_split(cell: Cell, part: SplitPart, windows: GroupWindows, job: JobSpec) -> None:
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
            f"fold {cell.fold} (seed {cell.seed}, {cell.stimulus}) has no {part} window {what} "
            f"(participants {shown})",
            "lower `folds.count` or `label.margin`"
            if part == "train" or not len(labels)
            else "lower `folds.count` or `label.margin`, or set `folds.require_all_classes: false`",
        )
