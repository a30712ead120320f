"""Maps of embeddings: their two principal components."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

MOST_POINTS = 400
"""A page holds so many windows of a map; evenly chosen ones, where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingMap:
    """Where one network puts n windows.

    Args:
        title: whose embedding it is.
        place: stimulus and affect.
        points: first two principal components, shape (n, 2).
        explained: share of the variance in each of them.
        label: 1 high, 0 low, int8; or affect, float32; shape (n,).
        participant: whose window it is, shape (n,).
    """

    title: str
    place: str
    points: NDArray[np.float64]
    explained: tuple[float, float]
    label: NDArray[np.int8] | NDArray[np.float32]
    participant: NDArray[np.str_]


def project(
    embeddings: NDArray[np.float64],
    *,
    title: str,
    place: str,
    label: NDArray[np.int8] | NDArray[np.float32],
    participant: NDArray[np.str_],
) -> EmbeddingMap:
    """The map of embeddings of shape (windows, width); components are fitted on all of them."""
    fitted = PCA(n_components=2, svd_solver="full").fit(embeddings)
    chosen = np.unique(np.linspace(0, len(embeddings) - 1, MOST_POINTS).astype(np.int64))
    first, second = fitted.explained_variance_ratio_.tolist()
    return EmbeddingMap(
        title=title,
        place=place,
        points=fitted.transform(embeddings[chosen]),
        explained=(first, second),
        label=label[chosen],
        participant=participant[chosen],
    )
