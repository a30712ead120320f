"""z-scores whose mean and deviation come from the training split alone."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pricon.heartbeat import beat

Incomplete = Literal["drop", "impute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardiser:
    """What was fitted: standardised = (raw - mean) * scale, and NaN becomes 0 afterwards.

    Args:
        mean: float32, shape (features,); 0 for dropped features.
        scale: one over the standard deviation, float32; 0 for dropped features.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Features that carry something: not constant and, unless imputed, recorded throughout."""
        return self.scale > 0

    def apply(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised features, shape (windows, features); what is not finite becomes 0."""
        with np.errstate(invalid="ignore"):
            standardised: NDArray[np.float32] = (raw - self.mean) * self.scale
        return np.where(np.isfinite(standardised), standardised, np.float32(0))


def fit_standardiser(training: NDArray[np.float32], incomplete: Incomplete) -> Standardiser:
    """Mean and scale of the training windows, shape (windows, features), and no others.

    Dropped features become 0 for everybody rather than leaving the matrix, so that all folds keep
    one input width and fit into one pack; a constant 0 has no gradient and no effect.

    Args:
        training: raw features of the training windows; what is not finite counts as not recorded.
        incomplete: whether a feature with unrecorded windows is dropped, or fitted on the others.
    """
    values = np.where(np.isfinite(training), training, np.nan).astype(np.float64)
    return standardiser_of(*_moments(values, incomplete))


def standardiser_of(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Standardiser:
    """Of what has these moments, shape (features,), NaN where they are not defined."""
    kept = np.isfinite(mean) & (deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6))
    scale = np.divide(1.0, deviation, out=np.zeros_like(mean), where=kept)
    return Standardiser(
        mean=np.where(kept, mean, 0.0).astype(np.float32), scale=scale.astype(np.float32)
    )


def standardise_sessions(
    raw: NDArray[np.float32], session: NDArray[np.str_], incomplete: Incomplete
) -> NDArray[np.float32]:
    """Each session's features by that session's own mean and deviation (constant ones become 0).

    Looks at the whole session, its end included, so it is not causal. Where incomplete features
    are dropped, one that a session has not recorded throughout is NaN for all of that session.
    """
    result = np.empty_like(raw)
    for name in np.unique(session):
        rows = session == name
        values = np.where(np.isfinite(raw[rows]), raw[rows], np.nan).astype(np.float64)
        result[rows] = standardise_session(values, *_moments(values, incomplete))
        beat()
    return result


def standardise_session(
    values: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Windows of a session, shape (windows, features), by that session's moments."""
    centred = values - mean
    scaled = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-9)
    return np.where(np.isnan(centred), np.nan, scaled)


def _moments(
    values: NDArray[np.float64], incomplete: Incomplete
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column; NaN where they are not defined."""
    if incomplete == "drop":
        return values.mean(axis=0), values.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value is NaN
        return np.nanmean(values, axis=0), np.nanstd(values, axis=0)
