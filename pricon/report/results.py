"""What one trial found, as the driver hands it to report and tracker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pricon.plan.plan import Cell, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Predictions for the kept windows of the split that judges (n of them): test or validation.

    Args:
        window: position in the corpus, int64, shape (n,).
        participant: shape (n,), str.
        session: shape (n,), str.
        t_start_s: start of the annotated window, seconds, shape (n,).
        label: 1 for high, 0 for low, int8, shape (n,).
        probability_high: predicted, float32, shape (n,); the class is high from 0.5 on.
    """

    window: NDArray[np.int64]
    participant: NDArray[np.str_]
    session: NDArray[np.str_]
    t_start_s: NDArray[np.float64]
    label: NDArray[np.int8]
    probability_high: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a stage recorded after each epoch.

    Args:
        stage: its role, `teacher`, `probe` or `student`; starts the metric's name in MLflow.
        stage_id: the stage.
        values: name -> one value an epoch (`training_loss`, `validation_loss`, ...).
        best_epoch: whose weights were kept, from 0.
    """

    stage: str
    stage_id: str
    values: Mapping[str, tuple[float, ...]]
    best_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One trial, whatever became of it.

    Args:
        trial: what was asked.
        cell: where it stands in the cross-validation.
        status: `finished`, `failed`, or `missing` (never got its turn).
        error: why it failed, one line; None otherwise.
        predictions: None unless finished.
        curves: of the stages of its chain that were committed, first to last.
        teacher_accuracy: of its student's teacher, on the same windows; None without one.
        num_windows: kept windows by split (`train`, `validation`, `test`), and `dropped`. Without
            the test split here and below, where the job has a grid.
        share_high: share of class `high` among the kept windows, by split.
    """

    trial: Trial
    cell: Cell
    status: Literal["finished", "failed", "missing"]
    error: str | None = None
    predictions: Predictions | None = None
    curves: tuple[Curve, ...] = ()
    teacher_accuracy: float | None = None
    num_windows: Mapping[str, int]
    share_high: Mapping[str, float]
