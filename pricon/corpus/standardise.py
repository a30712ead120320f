"""z-scores whose mean and deviation come from the training split alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        """Features that carry something: no NaN and not constant in the training split."""
        return self.scale > 0

    def apply(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised features, shape (windows, features)."""
        standardised: NDArray[np.float32] = (raw - self.mean) * self.scale
        return np.where(np.isnan(standardised), np.float32(0), standardised)


def fit_standardiser(training: NDArray[np.float32]) -> Standardiser:
    """Mean and scale of the training windows, shape (windows, features), and no others.

    Dropped features become 0 for everybody rather than leaving the matrix, so that all folds keep
    one input width and fit into one pack; a constant 0 has no gradient and no effect.
    """
    values = training.astype(np.float64)
    mean = values.mean(axis=0)
    deviation = values.std(axis=0)
    kept = np.isfinite(mean) & (deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6))
    scale = np.divide(1.0, deviation, out=np.zeros_like(mean), where=kept)
    return Standardiser(
        mean=np.where(kept, mean, 0.0).astype(np.float32), scale=scale.astype(np.float32)
    )


def standardise_sessions(
    raw: NDArray[np.float32], session: NDArray[np.str_]
) -> NDArray[np.float32]:
    """Each session's features by that session's own mean and deviation (constant ones become 0).

    Looks at the whole session, its end included, so it is not causal.
    """
    result = np.empty_like(raw)
    for name in np.unique(session):
        rows = session == name
        values = raw[rows].astype(np.float64)
        deviation = values.std(axis=0)
        centred = values - values.mean(axis=0)
        scaled = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-9)
        result[rows] = np.where(np.isnan(deviation), np.nan, scaled)
    return result
