"""What a pack trains on: batches for all its members, wherever the windows come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from pricon.model.keyed import Draws
from pricon.model.network import Dropout, PackedNetwork

Part = Literal["train", "validation"]
PADDING = -1
"""Row number where a member has fewer windows than others of its pack."""


class Examples(Protocol):
    """Windows of a pack: `resident` has them all on the device, `streamed` reads them each time."""

    @property
    def keys(self) -> Int64[Tensor, " members"]:
        """Random key of each member."""
        ...

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator["Batch"]:
        """Every training window of every live member once, in an order of this epoch.

        Args:
            live: positions of these members in the pack.
            epoch: from 0.
            after: batches of lower number are left out, because a checkpoint has them behind it.
        """
        ...

    def validation(self, live: tuple[int, ...]) -> Iterator["Batch"]:
        """Every validation window of every live member once, in the same batches in all epochs."""
        ...

    def evaluate(
        self, network: PackedNetwork, rows: Sequence[NDArray[np.int64]], *, embedded: bool = False
    ) -> list["Evaluation"]:
        """What each member makes of windows of its own, without dropout.

        Args:
            network: all members of the pack.
            rows: of each member, rising; those of one draw are equal.
            embedded: whether embeddings are wanted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Outputs of a member for r windows: scores (r, d_out), and embeddings (r, width) if wanted."""

    scores: Tensor
    embeddings: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's windows, for all live members of a pack.

    Shapes: m live members, b windows of this rank, g = ranks * b windows of the global batch.

    Args:
        number: of the batch in its epoch; rising, but not every number comes.
        members: positions of the live members in the pack, shape (m,).
        inputs: name -> standardised features of this rank's windows, shape (m, b, d_in), or (m, b,
            frames, d_in) for sequences.
        labels: classes, int64, or values, float32, of the global batch, shape (m, g); 0 where
            padded.
        valid: windows of the global batch that are not padding, shape (m, g).
        first: where this rank's windows start in the global batch.
        teacher: logits or embeddings of the teacher for this rank's windows, shape (m, b, c), or
            None.
        dropout: None outside training.
        has_windows: whether a member has any window in the global batch.
    """

    number: int
    members: Int64[Tensor, " m"]
    inputs: dict[str, Tensor]
    labels: Int64[Tensor, "m g"] | Float32[Tensor, "m g"]
    valid: Bool[Tensor, "m g"]
    first: int
    teacher: Float32[Tensor, "m b c"] | None
    dropout: Dropout | None
    has_windows: tuple[bool, ...]

    @property
    def own(self) -> slice:
        """This rank's windows in the global batch."""
        return slice(self.first, self.first + self.labels.shape[1] // self.num_ranks)

    @property
    def num_ranks(self) -> int:
        """Ranks that share the global batch."""
        width = next(iter(self.inputs.values())).shape[1]
        return self.labels.shape[1] // width


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of windows besides their features.

    A *draw* is all members of a pack that are equal in labels, windows, key and standardisation:
    what they see is drawn and read once.

    Args:
        draw_of: each member's draw, shape (members,).
        labels: classes, int8, -1 where unknown; or values, float32, NaN where unknown; shape
            (draws, windows).
        taught: logits or embeddings of teachers, NaN outside the training split of their fold, so
            that a leak cannot go unseen; 0 for a teacher that is none; shape (c, teachers,
            windows). None where no member has a teacher.
        teacher_of: each member's teacher, shape (members,).
    """

    draw_of: Int64[Tensor, " members"]
    labels: Tensor
    taught: Float32[Tensor, "c teachers windows"] | None = None
    teacher_of: Int64[Tensor, " members"] | None = None

    def draws(self, live: tuple[int, ...]) -> Draws:
        """Which of some members draw and read alike."""
        names = [int(self.draw_of[member]) for member in live]
        return Draws.among(names, self.labels.device)

    def labels_at(
        self, members: Int64[Tensor, " m"], rows: Int64[Tensor, "m n"], valid: Bool[Tensor, "m n"]
    ) -> Tensor:
        """Labels, int64 or float32, shape (m, n); 0 where not `valid`."""
        labels = _at(self.labels, self.draw_of[members], rows).masked_fill_(~valid, 0)
        return labels if labels.is_floating_point() else labels.long()

    def taught_at(
        self, members: Int64[Tensor, " m"], rows: Int64[Tensor, "m n"], valid: Bool[Tensor, "m n"]
    ) -> Float32[Tensor, "m n c"] | None:
        """What teachers say; 0 where not `valid`, for a NaN there must not reach a gradient."""
        if self.taught is None or self.teacher_of is None:
            return None
        of = self.teacher_of[members]
        # Laid out by class, as `divergence` reads it.
        by_class = torch.stack([_at(said, of, rows) for said in self.taught])
        return by_class.masked_fill_(~valid, 0.0).permute(1, 2, 0)


def _at(values: Tensor, which: Int64[Tensor, " m"], rows: Int64[Tensor, "m n"]) -> Tensor:
    """`values[which[m], rows[m, n]]`, shape (m, n)."""
    flat = which[:, None] * values.shape[1] + rows
    return values.flatten().index_select(0, flat.flatten()).view(rows.shape)
