"""Anchors, what they are compared with, and what a softmax over a block of such pairs says.

Shapes: m members, b windows of this rank, g windows of the global batch, d width, k kinds of
windows, r anchors of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pricon.corpus.labels import MOST_KINDS
from pricon.spec.training import ContrastiveSpec
from pricon.train.ranks import Ranks

BLOCK_BYTES = 4 * 2**20
"""Similarities of a block on a CPU, few enough for its caches; two such are held at once."""

BLOCK_BYTES_ON_GPU = 256 * 2**20
"""The same on a GPU: enough to keep it busy, and packs of small batches one block (not tuned)."""

_MILD = 1 / 64
"""Temperatures from which on the exponentials of similarities, and their sums over a batch, are
ordinary float32 numbers as they are: nothing need be subtracted first."""

LEAST_ROWS = 256
"""Anchors of a block, however large the batch: fewer would read all candidates too often."""


def kinds_of(labels: Int64[Tensor, "m g"], valid: Bool[Tensor, "m g"]) -> Bool[Tensor, "m g k"]:
    """Which kind each window is of; padding is of none."""
    numbers = torch.arange(MOST_KINDS, device=labels.device)
    return (labels[:, :, None] == numbers) & valid[:, :, None]


@dataclass(frozen=True, slots=True)
class Block:
    """Some anchors of some members."""

    members: slice
    rows: slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Anchors, and what they are compared with.

    Args:
        anchors: scaled windows of this rank, shape (m, b, d).
        candidates: scaled windows of the global batch, shape (m, g, d).
        labels: of candidates, shape (m, g).
        kinds: 1 where a candidate is of a kind, shape (m, g, k).
        num_positives: of each anchor, at least 1, shape (m, b).
        counted: 1 for anchors that have a positive, else 0, shape (m, b).
        padding: what to add to similarities, so that padding drops out, shape (m, g); None if it
            is known that there is none.
        first: where the anchors start among the candidates.
        spec: variant, and whether an anchor is compared with itself.
        is_mild: whether exponentials of similarities can be taken as they are.
    """

    anchors: Tensor
    candidates: Tensor
    labels: Tensor
    kinds: Tensor
    num_positives: Tensor
    counted: Tensor
    padding: Tensor | None
    first: int
    spec: ContrastiveSpec
    is_mild: bool

    @staticmethod
    def of(
        scaled: Float[Tensor, "m b d"],
        temperature: Float[Tensor, " m"],
        labels: Int64[Tensor, "m g"],
        valid: Bool[Tensor, "m g"],
        spec: ContrastiveSpec,
        ranks: Ranks,
    ) -> "Pairs":
        """Count positives, and fetch the candidates of other ranks."""
        first = ranks.index * scaled.shape[1]
        kinds = kinds_of(labels, valid).to(scaled.dtype)
        own = kinds[:, first : first + scaled.shape[1]]
        counts = (own * kinds.sum(dim=1, keepdim=True)).sum(dim=2)
        counts = counts if spec.include_self else counts - 1.0
        # Only a CPU is asked what it holds: a GPU would have to be waited for.
        is_asked = scaled.device.type == "cpu"
        padding = None
        if not (is_asked and bool(valid.all())):
            padding = torch.zeros_like(valid, dtype=scaled.dtype)
            padding.masked_fill_(~valid, _nothing(scaled))
        return Pairs(
            anchors=scaled,
            candidates=ranks.gather(scaled),
            labels=labels,
            kinds=kinds,
            num_positives=counts.clamp(min=1.0),
            counted=(counts > 0).to(scaled.dtype),
            padding=padding,
            first=first,
            spec=spec,
            is_mild=is_asked and bool((temperature >= _MILD).all()),
        )

    @property
    def own(self) -> slice:
        """The anchors among the candidates."""
        return slice(self.first, self.first + self.anchors.shape[1])

    def is_symmetric(self, block: Block) -> bool:
        """Whether exponentials of the block's similarities are those of each pair, both ways."""
        everyone = self.candidates.shape[1]
        is_whole = block.rows == slice(0, everyone) and self.anchors.shape[1] == everyone
        return is_whole and self.padding is None and self.is_mild and self.spec.variant == "out"

    def differentiate_(
        self, logits: Float[Tensor, "m r g"], block: Block
    ) -> tuple[Float[Tensor, "m r"], Float[Tensor, "m r one"]]:
        """What the softmax says of each anchor; `logits` times factors become its gradient.

        Args:
            logits: similarities of the block's anchors to all candidates, shape (m, r, g).
            block: which anchors these are, r of them.

        Returns:
            Log sum exp over candidates and, for `in`, minus the same over positives, shape (m, r);
            and the factor of each anchor, 0 if it does not count, shape (m, r, 1).
        """
        nothing = _nothing(logits)
        if self.padding is not None:
            logits += self.padding[block.members, None, :]
        own = slice(self.first + block.rows.start, self.first + block.rows.stop)
        if not self.spec.include_self:
            logits[:, :, own].diagonal(dim1=1, dim2=2).fill_(nothing)
        counted = self.counted[block.members, block.rows, None]
        if self.spec.variant == "out":
            said, total = _exponentials_(logits, self.is_mild)
            return said, counted / total
        labels = self.labels[block.members]
        positives = logits.masked_fill(labels[:, own, None] != labels[:, None, :], nothing)
        of_positives, total = _exponentials_(positives)
        positives /= total
        of_all, total = _exponentials_(logits)
        logits.div_(total).sub_(positives)
        return of_all - of_positives, counted


def blocks(anchors: Float[Tensor, "m b d"], num_candidates: int) -> Iterator[Block]:
    """All anchors of some members at a time, or some anchors of one member."""
    num_members, num_anchors, _ = anchors.shape
    budget = BLOCK_BYTES if anchors.device.type == "cpu" else BLOCK_BYTES_ON_GPU
    rows = max(LEAST_ROWS, budget // (anchors.element_size() * max(1, num_candidates)))
    members = max(1, rows // max(1, num_anchors))
    for member in range(0, num_members, members):
        for row in range(0, num_anchors, rows):
            yield Block(
                slice(member, min(member + members, num_members)),
                slice(row, min(row + rows, num_anchors)),
            )


def _exponentials_(logits: Tensor, is_mild: bool = False) -> tuple[Tensor, Tensor]:
    """Exponentials in place, up to a factor a row if not `is_mild`.

    Returns:
        Log of the sum of exponentials along the last dimension, shape (m, r); and the sum of what
        `logits` are now, shape (m, r, 1).
    """
    most = None
    if not is_mild:
        most = logits.amax(dim=2, keepdim=True)
        logits -= most
    # Anchors without candidates, such as those of a batch of one, may have a sum of 0; none counts.
    total = logits.exp_().sum(dim=2, keepdim=True).clamp_(min=torch.finfo(logits.dtype).tiny)
    said = total.log() if most is None else total.log().add_(most)
    return said.squeeze(2), total


def _nothing(logits: Tensor) -> float:
    """The logit of a pair that is none: its exponential is 0 beside others, and two are finite."""
    return torch.finfo(logits.dtype).min / 2
