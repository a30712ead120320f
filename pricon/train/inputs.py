"""What networks read of windows that are all on the device: features, or frozen embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from pricon.model.keyed import Draws
from pricon.model.network import EMBEDDING


class Inputs(Protocol):
    """Where a batch's network inputs come from."""

    @property
    def frames(self) -> int:
        """Frames of a window; 1 where windows are vectors."""
        ...

    def gather(
        self, members: Int64[Tensor, " m"], draws: Draws, rows: Int64[Tensor, "d b"]
    ) -> dict[str, Tensor]:
        """Input name -> float32, shape (m, b, d_in), or (m, b, frames, d_in) for sequences.

        Args:
            members: positions in the pack.
            draws: which of them read the same rows.
            rows: of each draw.
        """
        ...


@dataclass(frozen=True, slots=True)
class Features:
    """Raw features that all members share, standardised for each draw's own fold on the way.

    Args:
        raw: modality -> float32, shape (windows, d_in) or (windows, frames, d_in); NaN where
            nothing was recorded.
        mean: modality -> float32, shape (members, d_in).
        scale: modality -> float32, shape (members, d_in).
    """

    raw: Mapping[str, Float32[Tensor, "windows ..."]]
    mean: Mapping[str, Float32[Tensor, "members d_in"]]
    scale: Mapping[str, Float32[Tensor, "members d_in"]]
    complete: frozenset[str] = field(init=False)
    """Modalities of which nothing is missing, and nothing becomes infinite: a pass less a batch."""

    def __post_init__(self) -> None:
        complete = frozenset(name for name in self.raw if self._is_complete(name))
        object.__setattr__(self, "complete", complete)

    def _is_complete(self, name: str) -> bool:
        """Where anything is NaN, so are extremes, which no comparison lets pass."""
        if not self.raw[name].numel():
            return False
        least, most = torch.aminmax(self.raw[name])
        farthest = torch.maximum(most, -least) + self.mean[name].abs().amax()
        return bool(farthest * self.scale[name].abs().amax() < torch.finfo(torch.float32).max)

    @property
    def frames(self) -> int:
        """See `Inputs`."""
        return max(raw.shape[1] if raw.dim() == 3 else 1 for raw in self.raw.values())

    def gather(
        self, members: Int64[Tensor, " m"], draws: Draws, rows: Int64[Tensor, "d b"]
    ) -> dict[str, Tensor]:
        """Standardised features; see `Inputs`."""
        standardised = {}
        for name, raw in self.raw.items():
            values = raw.index_select(0, rows.flatten()).view(*rows.shape, *raw.shape[1:])
            leaders = members[draws.first]
            once = (len(leaders), *(1,) * (raw.dim() - 1), -1)
            mean, scale = (of[name][leaders].view(once) for of in (self.mean, self.scale))
            values.sub_(mean).mul_(scale)
            if name not in self.complete:
                values.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
            standardised[name] = draws.expand(values)
        return standardised


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Outputs of each member's frozen encoder, float32, shape (members, windows, width)."""

    values: Float32[Tensor, "members windows width"]

    @property
    def frames(self) -> int:
        """See `Inputs`."""
        return 1

    def gather(
        self, members: Int64[Tensor, " m"], draws: Draws, rows: Int64[Tensor, "d b"]
    ) -> dict[str, Tensor]:
        """Embeddings; see `Inputs`."""
        rows = draws.expand(rows)
        # As a selection of whole rows: plain indexing goes element by element.
        flat = (members[:, None] * self.values.shape[1] + rows).flatten()
        return {EMBEDDING: self.values.flatten(0, 1).index_select(0, flat).view(*rows.shape, -1)}
