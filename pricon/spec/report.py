"""How a report shows what was found. Changes no trial and no number."""

from typing import Literal

from pricon.spec.base import Spec

Projection = Literal["pca", "umap"]


class ReportSpec(Spec):
    """The pictures of a report."""

    maps: Projection = "pca"
    """How maps of embeddings come to two dimensions: by principal components, or by UMAP (McInnes,
    Healy and Melville 2018), which keeps neighbours together and bends everything else. `umap`
    needs pricon's extra `umap`."""
