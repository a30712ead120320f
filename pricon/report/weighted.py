"""Metrics of windows that count as often as their participants are drawn.

All but AUROC and the mean over participants are functions of sums over windows. Sums are additive,
so those of a resample are the weighted sums of its participants: exact, and no window is looked at
again.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pricon.report.metrics import count_ranked_pairs
from pricon.report.results import Predictions, ValuePredictions

Sums = NDArray[np.float64]
"""What a metric needs of a set of windows, on the last axis."""

MOMENTS = ("n", "label", "prediction", "label^2", "prediction^2", "label * prediction")
"""The last axis of `sum_moments`."""

_CONSTANT = 1e-12
"""A variance of less than this share of the mean square is that of a constant, rounded."""


def mean_present(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean along an axis over what is not NaN; NaN where nothing is left.

    >>> mean_present(np.array([[1.0, np.nan], [3.0, np.nan]]), axis=0)
    array([ 2., nan])
    """
    present = ~np.isnan(values)
    return _divide(np.where(present, values, 0).sum(axis=axis), present.sum(axis=axis))


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part by whole, NaN where the whole is empty."""
    shares = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def mean_of_drawn(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the participants' own values under each resample, shape (resamples,).

    Args:
        values: one a participant; NaN for those who have none and are left out.
        weights: how often each counts, shape (resamples, participants).

    Returns:
        NaN where nobody was drawn who has a value.

    >>> mean_of_drawn(np.array([0.25, np.nan, 1.0]), np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]]))
    array([0.625, 0.5  ,   nan])
    """
    present = ~np.isnan(values)
    drawn = weights[:, present]
    return _divide(drawn @ values[present], drawn.sum(axis=1))


def accuracy(counts: Sums) -> NDArray[np.float64]:
    """Counts as `metrics.OUTCOMES` on the last axis -> accuracy."""
    return _divide(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def balanced_accuracy(counts: Sums) -> NDArray[np.float64]:
    """The same counts -> mean recall over the classes that occur."""
    low, false_high, false_low, high = np.moveaxis(counts, -1, 0)
    recalls = np.stack([_divide(low, low + false_high), _divide(high, high + false_low)])
    return mean_present(recalls, axis=0)


def macro_f1(counts: Sums) -> NDArray[np.float64]:
    """The same counts -> mean F1 over the classes that occur or were predicted."""
    low, false_high, false_low, high = np.moveaxis(counts, -1, 0)
    wrong = false_high + false_low
    scores = np.stack([_divide(2 * low, 2 * low + wrong), _divide(2 * high, 2 * high + wrong)])
    return mean_present(scores, axis=0)


def auroc(
    predictions: Predictions,
    counts: Sums,
    participants: NDArray[np.str_],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """AUROC of one trial under each resample: ranked pairs of the people drawn, of all pairs.

    Args:
        predictions: of the trial.
        counts: their outcomes, shape (participants, 4).
        participants: sorted.
        weights: how often each counts, shape (resamples, participants).
    """
    tested = np.flatnonzero(counts.sum(axis=1))
    pairs = count_ranked_pairs(predictions, participants[tested])
    drawn = weights[:, tested]
    low, false_high, false_low, high = counts[tested].T
    num_pairs = (drawn @ (false_low + high)) * (drawn @ (low + false_high))
    return _divide(((drawn @ pairs) * drawn).sum(axis=1), num_pairs)


def sum_moments(predictions: ValuePredictions, participants: NDArray[np.str_]) -> Sums:
    """Sums over the windows of each participant, shape (participants, 6), as `MOMENTS`.

    Args:
        predictions: of one trial.
        participants: sorted, without repeats; holds everybody in `predictions`.
    """
    row = np.searchsorted(participants, predictions.participant)
    label = predictions.label.astype(np.float64)
    prediction = predictions.prediction.astype(np.float64)
    terms = (
        np.ones_like(label),
        label,
        prediction,
        label**2,
        prediction**2,
        label * prediction,
    )
    return np.stack([np.bincount(row, term, participants.size) for term in terms], axis=-1)


def ccc(sums: Sums) -> NDArray[np.float64]:
    """Sums as `MOMENTS` on the last axis -> Lin's concordance correlation coefficient.

    NaN where nothing was summed, and where the label is constant: whatever is predicted then, the
    formula gives 0, which says nothing about the prediction.
    """
    label, prediction, covariance, difference = _central(sums)
    spread = np.where(label > 0, label + prediction + difference**2, 0)
    return _divide(2 * covariance, spread)


def rmse(sums: Sums) -> NDArray[np.float64]:
    """The same sums -> root of the mean squared error."""
    n, _, _, labels, predictions, products = np.moveaxis(sums, -1, 0)
    squares = _divide(labels + predictions - 2 * products, n)
    return np.sqrt(np.maximum(squares, 0))  # rounding may leave less than nothing


def pearson(sums: Sums) -> NDArray[np.float64]:
    """The same sums -> correlation; NaN where either side is constant."""
    label, prediction, covariance, _ = _central(sums)
    return _divide(covariance, np.sqrt(label * prediction))


def _central(sums: Sums) -> tuple[NDArray[np.float64], ...]:
    """Variances of label and prediction, covariance, difference of means; NaN without windows."""
    n = sums[..., 0]
    means = [_divide(sums[..., moment], n) for moment in range(1, len(MOMENTS))]
    label, prediction, labels, predictions, products = means
    return (
        _variance(labels, label),
        _variance(predictions, prediction),
        products - label * prediction,
        label - prediction,
    )


def _variance(squares: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = squares - mean**2
    return np.where(
        variance > _CONSTANT * squares, variance, np.where(np.isnan(squares), squares, 0)
    )


OF_COUNTS: Mapping[str, Callable[[Sums], NDArray[np.float64]]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}
"""Metrics that are functions of `metrics.count_outcomes`."""

OF_MOMENTS: Mapping[str, Callable[[Sums], NDArray[np.float64]]] = {
    "ccc_pooled": ccc,
    "rmse": rmse,
    "pearson": pearson,
}
"""Metrics that are functions of `sum_moments`."""
