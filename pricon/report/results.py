"""What one trial found, as the driver hands it to report and tracker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pricon.plan.plan import Cell, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedWindows:
    """The windows of the split that judges, test or validation, that have a label (n of them).

    Args:
        window: position in the corpus, int64, shape (n,).
        participant: shape (n,), str.
        session: shape (n,), str.
        t_start_s: start of the annotated window, seconds, shape (n,).
    """

    window: NDArray[np.int64]
    participant: NDArray[np.str_]
    session: NDArray[np.str_]
    t_start_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions(TestedWindows):
    """Classes of these windows, and what a model makes of them.

    Args:
        label: 1 for high, 0 for low, int8, shape (n,).
        probability_high: predicted, float32, shape (n,); the class is high from 0.5 on.
    """

    label: NDArray[np.int8]
    probability_high: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePredictions(TestedWindows):
    """Affect of these windows, and what a model makes of it; both in the annotation's unit.

    Args:
        label: annotated, float32, shape (n,).
        prediction: float32, shape (n,).
    """

    label: NDArray[np.float32]
    prediction: NDArray[np.float32]


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
        teacher_score: primary metric of its student's teacher, on the same windows; None without
            one.
        num_windows: windows with a label by split (`train`, `validation`, `test`), and `dropped`.
            Without the test split here and below, where the job has a grid.
        share_high: share of class `high` among them by split; empty under regression.
        affect: mean and standard deviation of affect by split; empty under classification.
    """

    trial: Trial
    cell: Cell
    status: Literal["finished", "failed", "missing"]
    error: str | None = None
    predictions: Predictions | ValuePredictions | None = None
    curves: tuple[Curve, ...] = ()
    teacher_score: float | None = None
    num_windows: Mapping[str, int]
    share_high: Mapping[str, float]
    affect: Mapping[str, tuple[float, float]] = field(default_factory=dict)
