"""What a task is judged by: its metrics, and the words that tables and sentences use for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.report.metrics import OUTCOMES, count_outcomes
from pricon.report.results import Predictions, ValuePredictions
from pricon.report.weighted import (
    MOMENTS,
    OF_COUNTS,
    OF_MOMENTS,
    Sums,
    accuracy,
    auroc,
    ccc,
    mean_of_drawn,
    sum_moments,
)
from pricon.spec.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """One task's metrics and their words.

    Args:
        metrics: names as files have them; the first is the primary one, which arms are compared by.
        name: the primary one inside a sentence.
        definition: the primary one over the windows of a fold, for the start of a sentence.
        beside: what else must be known of it, a sentence or nothing.
        undefined: resamples that a fold's metrics cannot be computed of, for the end of a sentence.
        calibration: what the figure of annotated against predicted shows,
        said_label: of its horizontal axis,
        told_label: of its vertical one,
        range: ends of both; None for those of the data.
        said: column of what a model makes of a window, in files.
        factor: differences of the primary metric are told times this,
        decimals: with so many decimals,
        unit: in this unit.
        own: the primary one of a single participant, as a function of `Summed.sums`,
        of_sums: name -> metric of many participants, as a function of the same,
        num_sums: which are so many.
    """

    metrics: tuple[str, ...]
    name: str
    definition: str
    beside: str
    undefined: str
    calibration: str
    said_label: str
    told_label: str
    range: tuple[float, float] | None
    said: str
    factor: float
    decimals: int
    unit: str
    own: Callable[[Sums], NDArray[np.float64]]
    of_sums: Mapping[str, Callable[[Sums], NDArray[np.float64]]]
    num_sums: int

    @property
    def primary(self) -> str:
        """Name of the metric that arms are compared by."""
        return self.metrics[0]

    def amount(self, difference: float) -> str:
        """Size of a difference in words, such as `2.3 points`."""
        return f"{self.factor * abs(difference):.{self.decimals}f} {self.unit}"


YARDSTICKS: Mapping[Task, Yardstick] = {
    "classification": Yardstick(
        metrics=("accuracy", "balanced_accuracy", "macro_f1", "auroc"),
        name="accuracy",
        definition="Accuracy over all kept windows",
        beside="",
        undefined="for AUROC one of which it drew windows\nof one class only",
        calibration=(
            "Calibration over all test windows. On the dashed line a probability is what happens."
        ),
        said_label="probability of high that the model gave",
        told_label="share that was high",
        range=(0, 1),
        said="probability_high",
        factor=100,
        decimals=1,
        unit="points",
        own=accuracy,
        of_sums=OF_COUNTS,
        num_sums=len(OUTCOMES),
    ),
    "regression": Yardstick(
        metrics=("ccc", "ccc_pooled", "rmse", "pearson"),
        name="CCC",
        definition=(
            "CCC (Lin's concordance correlation coefficient) over the annotated windows of each\n"
            "participant, mean over the participants"
        ),
        beside=(
            "Whose annotation is constant has no CCC and is left out. `ccc_pooled` is that of all\n"
            "windows of the split at once.\n"
        ),
        undefined=(
            "for CCC one of which it drew\nnobody whose annotation moves, for Pearson's "
            "correlation also one whose prediction is constant"
        ),
        calibration=(
            "Mean annotation of all test windows, by tenths of what was predicted. On the dashed "
            "line a prediction is what was annotated; flatter than it, predictions differ too much."
        ),
        said_label="affect that the model predicted",
        told_label="affect that was annotated",
        range=None,
        said="prediction",
        factor=1,
        decimals=3,
        unit="of CCC",
        own=ccc,
        of_sums=OF_MOMENTS,
        num_sums=len(MOMENTS),
    ),
}


@dataclass(frozen=True, slots=True)
class Summed:
    """What all metrics of a trial need, by participant.

    Args:
        sums: `metrics.count_outcomes` or `weighted.sum_moments`, shape (participants, k).
        others: metric that is no function of added sums -> its value under each resample.
    """

    sums: Sums
    others: Mapping[str, NDArray[np.float64]]


def summed(
    predictions: Predictions | ValuePredictions,
    participants: NDArray[np.str_],
    weights: NDArray[np.float64],
) -> Summed:
    """One trial's predictions, reduced to what resampling needs.

    Args:
        predictions: of the trial.
        participants: sorted; holds everybody in `predictions`.
        weights: how often each counts, shape (resamples, participants).
    """
    if isinstance(predictions, ValuePredictions):
        moments = sum_moments(predictions, participants)
        return Summed(moments, {"ccc": mean_of_drawn(ccc(moments), weights)})
    counts = count_outcomes(predictions, participants).astype(np.float64)
    return Summed(counts, {"auroc": auroc(predictions, counts, participants, weights)})


def said_and_told(
    predictions: Predictions | ValuePredictions,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int8]]:
    """What a model makes of its windows, and what is known of them."""
    if isinstance(predictions, ValuePredictions):
        return predictions.prediction, predictions.label
    return predictions.probability_high, predictions.label
