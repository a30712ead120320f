"""How good the predictions of one trial are. Owns the metrics, not their averages over trials.

All are computed over all windows of the test split that have a label; none averages over batches.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import overload

import numpy as np
from numpy.typing import NDArray

from pricon.report.results import Predictions, ValuePredictions

OUTCOMES = ("true_low", "false_high", "false_low", "true_high")
"""The last axis of `count_outcomes`: index = 2 * label + predicted class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Metrics of one trial; NaN where the test split does not define one.

    Args:
        num_windows: kept windows of the test split.
        accuracy: share of windows whose class is right.
        balanced_accuracy: mean recall over the classes that occur.
        macro_f1: mean F1 over the classes that occur or were predicted.
        auroc: area under the ROC curve; NaN where only one class occurs.
    """

    num_windows: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    auroc: float

    def to_dict(self) -> Mapping[str, float]:
        """The metrics by name, as a tracker records them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueMetrics:
    """Metrics of one regression trial; NaN where the test split does not define one.

    Args:
        num_windows: annotated windows of the test split.
        ccc: Lin's concordance correlation coefficient of each participant's own windows, mean over
            participants, -1 to 1; 0 for a constant prediction. Whose annotation is constant has
            none and is left out, because no prediction could score.
        ccc_pooled: that of all windows at once, which also counts how well the levels of different
            participants are met.
        rmse: root of the mean squared error, in the unit of the annotation.
        pearson: correlation; NaN where either side is constant.
    """

    num_windows: int
    ccc: float
    ccc_pooled: float
    rmse: float
    pearson: float

    def to_dict(self) -> Mapping[str, float]:
        """The metrics by name, as a tracker records them."""
        return asdict(self)


def predicted_class(predictions: Predictions) -> NDArray[np.int8]:
    """1 (high) where the predicted probability is at least one half, shape (n,)."""
    return (predictions.probability_high >= 0.5).astype(np.int8)


@overload
def measure(predictions: Predictions) -> Metrics: ...
@overload
def measure(predictions: ValuePredictions) -> ValueMetrics: ...
def measure(predictions: Predictions | ValuePredictions) -> Metrics | ValueMetrics:
    """Metrics of one trial's predictions."""
    if isinstance(predictions, ValuePredictions):
        return _measure_values(predictions)
    return _measure_classes(predictions)


def _measure_classes(predictions: Predictions) -> Metrics:
    label, predicted = predictions.label, predicted_class(predictions)
    if label.size == 0:
        return Metrics(num_windows=0, accuracy=nan, balanced_accuracy=nan, macro_f1=nan, auroc=nan)
    outcome = 2 * label.astype(np.int64) + predicted
    counts = np.bincount(outcome, minlength=len(OUTCOMES)).reshape(2, 2)
    right, of_class, called = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    occurs, known = of_class > 0, of_class + called > 0
    return Metrics(
        num_windows=int(label.size),
        accuracy=float(right.sum() / label.size),
        balanced_accuracy=float((right[occurs] / of_class[occurs]).mean()),
        macro_f1=float((2 * right[known] / (of_class + called)[known]).mean()),
        auroc=_auroc(predictions) if occurs.all() else nan,
    )


def _auroc(predictions: Predictions) -> float:
    """Share of pairs of a high and a low window that are ranked right; a tie is half a pair."""
    is_high = predictions.label == 1
    high = predictions.probability_high[is_high]
    low = np.sort(predictions.probability_high[~is_high])
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.sum() / (2 * high.size * low.size))


def _measure_values(predictions: ValuePredictions) -> ValueMetrics:
    """Metrics of predicted affect values, by the formulas that average over windows directly.

    Source: Lin 1989; moments are means over the windows (divided by n).
    """
    label = predictions.label.astype(np.float64)
    prediction = predictions.prediction.astype(np.float64)
    if label.size == 0:
        return ValueMetrics(num_windows=0, ccc=nan, ccc_pooled=nan, rmse=nan, pearson=nan)
    whose = [predictions.participant == person for person in np.unique(predictions.participant)]
    own = [_ccc(label[rows], prediction[rows]) for rows in whose if np.ptp(label[rows]) > 0]
    moves = [bool(np.ptp(values) > 0) for values in (label, prediction)]
    return ValueMetrics(
        num_windows=int(label.size),
        ccc=float(np.mean(own)) if own else nan,
        ccc_pooled=_ccc(label, prediction) if moves[0] else nan,
        rmse=float(np.sqrt(((label - prediction) ** 2).mean())),
        pearson=_covariance(label, prediction) / float(label.std() * prediction.std())
        if all(moves)
        else nan,
    )


def _ccc(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    spread = label.var() + prediction.var() + (label.mean() - prediction.mean()) ** 2
    return 2 * _covariance(label, prediction) / float(spread)


def _covariance(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    return float(((label - label.mean()) * (prediction - prediction.mean())).mean())


def count_outcomes(predictions: Predictions, participants: NDArray[np.str_]) -> NDArray[np.int64]:
    """Windows of each participant by outcome, shape (participants, 4).

    Args:
        predictions: of one trial.
        participants: sorted, without repeats; holds everybody in `predictions`.

    Returns:
        Last axis as `OUTCOMES`; rows of participants who are not in the test split are zero.
    """
    row = np.searchsorted(participants, predictions.participant)
    outcome = 2 * predictions.label.astype(np.int64) + predicted_class(predictions)
    num_cells = participants.size * len(OUTCOMES)
    counts = np.bincount(row * len(OUTCOMES) + outcome, minlength=num_cells)
    return counts.reshape(participants.size, len(OUTCOMES)).astype(np.int64)


def count_ranked_pairs(
    predictions: Predictions, participants: NDArray[np.str_]
) -> NDArray[np.float64]:
    """Pairs of a high and a low window of which the high one has the higher probability.

    A tie is half a pair. Summed over both axes and divided by the number of all such pairs this is
    the area under the ROC curve; weighted sums are its value when participants are drawn.

    Args:
        predictions: of one trial.
        participants: sorted, without repeats; holds everybody in `predictions`.

    Returns:
        Shape (participants, participants): who the high window is of, who the low one.
    """
    row = np.searchsorted(participants, predictions.participant)
    is_high, said = predictions.label == 1, predictions.probability_high
    rising = np.flatnonzero(is_high)[np.argsort(said[is_high])]
    high, owner = said[rising], row[rising]
    low, whose = said[~is_high], row[~is_high]
    pairs = np.zeros((participants.size, participants.size))
    for person in np.unique(whose):
        # Half a pair with every high window from the first that is not below, half from the first
        # that is above.
        own = low[whose == person]
        halves = [np.searchsorted(high, own, side) for side in ("left", "right")]
        begun = np.bincount(np.concatenate(halves), minlength=high.size + 1)[: high.size]
        pairs[:, person] = np.bincount(owner, begun.cumsum(), minlength=participants.size)
    return pairs / 2
