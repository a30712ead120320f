"""Affect of a window -> its class under the label rule, and its likeness in contrastive loss.

A *label* is what is known of a window: its class, int8, or its affect value, float32.
"""

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.spec.corpus import Affect
from pricon.spec.label import LabelSpec
from pricon.spec.training import ContrastiveSpec

DROPPED = -1
"""Class of a window inside the margin, or whose affect is unknown."""

Classes = NDArray[np.int8]
Values = NDArray[np.float32]

MOST_KINDS = 3
"""Windows are alike in the contrastive loss in at most so many ways, numbered from 0."""

_ROUNDING = 1e-9
"""A trace that comes back to where it was has a mean step below this, not always exactly 0."""


def known(labels: Classes | Values) -> NDArray[np.bool_]:
    """Windows that have a label: a class that is not dropped, a value that is a number.

    >>> known(np.array([1, 0, -1], dtype=np.int8))
    array([ True,  True, False])
    """
    return ~np.isnan(labels) if labels.dtype == np.float32 else labels != DROPPED


def label_windows(
    index: WindowIndex, rule: LabelSpec, affect: Affect, training: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """1 for high, 0 for low, `DROPPED` in between. Shape (windows,).

    Args:
        index: the windows.
        rule: threshold and margin.
        affect: which trace.
        training: windows of the fold's training split, shape (windows,): the only ones that a
            threshold may be fitted on.
    """
    values = index.affect[affect]
    threshold: float | NDArray[np.float64]
    match rule.threshold:
        case "session_mean":
            threshold = index.session_mean[affect]
        case None:
            raise ValueError("a job resolves its threshold when it is loaded")
        case dict(by_affect):
            threshold = by_affect[affect]
        case "training_median":
            threshold = _median(values[training])
        case fixed:
            threshold = fixed
    labels = np.full(len(values), DROPPED, dtype=np.int8)
    labels[values > threshold + rule.margin] = 1
    labels[values < threshold - rule.margin] = 0
    return labels


def contrast_windows(
    index: WindowIndex,
    spec: ContrastiveSpec,
    affect: Affect,
    labels: NDArray[np.int8],
    training: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """Which windows are alike in the contrastive loss; `DROPPED` where that is unknown.

    `level`: the labels themselves. `change`: 1 for much, 0 for little. `trend`: 2 rising, 1 still,
    0 falling. Windows that the label rule drops stay dropped. Shape (windows,).

    Args:
        index: the windows.
        spec: which contrast.
        affect: which trace.
        labels: what `label_windows` gave.
        training: windows of the fold's training split, shape (windows,): the only ones that a
            threshold may be fitted on.
    """
    if spec.contrast == "level":
        return labels
    if spec.contrast == "trend":
        steps = index.trend[affect]
        kinds = np.sign(np.where(np.abs(steps) > _ROUNDING, steps, 0)) + 1
    else:
        steps = index.change[affect]
        threshold = spec.change_threshold
        if threshold is None:
            raise ValueError("a job resolves its threshold when it is loaded")
        if isinstance(threshold, dict):
            threshold = threshold[affect]
        elif threshold == "training_median":
            threshold = _median(steps[training & (labels != DROPPED)])
        kinds = np.greater(steps, threshold)
    unknown = np.isnan(steps) | (labels == DROPPED)
    return np.where(unknown, DROPPED, kinds).astype(np.int8)


def _median(values: NDArray[np.float64]) -> float:
    """Median of what is known; NaN, above which nothing lies, where nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
