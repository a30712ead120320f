"""The label rule: affect of a window -> class, or dropped as ambiguous."""

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.spec.corpus import Affect
from pricon.spec.job import LabelSpec

DROPPED = -1
"""Label of a window inside the margin, or whose affect is unknown."""


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
        case "training_median":
            threshold = float(np.nanmedian(values[training]))
        case fixed:
            threshold = fixed
    labels = np.full(len(values), DROPPED, dtype=np.int8)
    labels[values > threshold + rule.margin] = 1
    labels[values < threshold - rule.margin] = 0
    return labels
