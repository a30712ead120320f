"""Maps of embeddings: windows in two dimensions, by principal components or by UMAP."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.errors import SpecError
from pricon.spec.report import Projection

_NEIGHBOURS = 15
"""How many windows UMAP keeps together with each; its authors' default."""

MOST_POINTS = 200
"""A page holds so many windows of a map; evenly chosen ones, where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingMap:
    """Where one network puts n windows.

    Args:
        title: whose embedding it is.
        place: stimulus and affect.
        points: where, shape (n, 2).
        explained: share of the variance in each principal component; None by UMAP.
        label: 1 high, 0 low, int8; or affect, float32; shape (n,).
        participant: whose window it is, shape (n,).
    """

    title: str
    place: str
    points: NDArray[np.float64]
    explained: tuple[float, float] | None
    label: NDArray[np.int8] | NDArray[np.float32]
    participant: NDArray[np.str_]


def check_projection(method: Projection) -> None:
    """Refuse a way of projecting that this installation does not have.

    Imports the package rather than looking for it: it compiles with what numba finds here, and
    finding out after a night of training would be late.

    Raises:
        SpecError: umap-learn cannot be imported.
    """
    if method == "umap":
        try:
            _umap()
        except ImportError as err:
            raise SpecError(
                f"`report.maps: umap` needs umap-learn, which cannot be imported\n  {err}",
                "`pip install -c deploy/constraints.txt -e '.[umap]'` in pricon's checkout, or "
                "remove `report.maps`",
            ) from err


def project(
    embeddings: NDArray[np.float64],
    *,
    method: Projection = "pca",
    title: str,
    place: str,
    label: NDArray[np.int8] | NDArray[np.float32],
    participant: NDArray[np.str_],
) -> EmbeddingMap:
    """The map of embeddings of shape (windows, width); fitted on all of them."""
    chosen = np.unique(np.linspace(0, len(embeddings) - 1, MOST_POINTS).astype(np.int64))
    points, explained = (_by_umap if method == "umap" else _by_pca)(embeddings)
    return EmbeddingMap(
        title=title,
        place=place,
        points=points[chosen],
        explained=explained,
        label=label[chosen],
        participant=participant[chosen],
    )


_Projected = tuple[NDArray[np.float64], tuple[float, float] | None]


def _by_pca(embeddings: NDArray[np.float64]) -> _Projected:
    """On the two first principal components, of each of which the largest weight is positive."""
    centred = embeddings - embeddings.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    first, second, *_ = (spread**2 / (spread**2).sum()).tolist()
    return centred @ (axes * np.sign(largest))[:2].T, (first, second)


def _by_umap(embeddings: NDArray[np.float64]) -> _Projected:
    """Seeded, on one thread and from the principal components: the same map every time."""
    fitted = _umap().UMAP(
        n_neighbors=max(2, min(_NEIGHBOURS, len(embeddings) - 1)),
        init="pca",
        random_state=0,
        n_jobs=1,
    )
    return fitted.fit_transform(embeddings).astype(np.float64), None


def _umap() -> Any:
    """The package, which takes seconds to import and is an extra."""
    return importlib.import_module("umap")
