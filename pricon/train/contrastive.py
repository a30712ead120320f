"""The supervised contrastive loss, for whole packs, in memory linear in the batch.

The similarities of all pairs of windows are never held: those of a block of anchors are computed,
turned into the block's losses and gradients, and overwritten by the next block's. That takes three
products of matrices, as many as a loss that keeps them all. The positives of `out` need no pairs at
all: the sum of an anchor's similarities to a kind is its similarity to the sum of that kind.

Shapes: m members, b windows of this rank, g windows of the global batch, d width, k kinds of
windows. Padded windows are marked in `valid` and count nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from pricon.corpus.labels import MOST_KINDS
from pricon.spec.training import ContrastiveSpec
from pricon.train.ranks import Ranks

BLOCK_BYTES = 4 * 2**20
"""Similarities held at once on a CPU: few enough for its caches."""

BLOCK_BYTES_ON_GPU = 256 * 2**20
"""The same on a GPU: enough to keep it busy, and packs of small batches one block (not tuned)."""

LEAST_ROWS = 256
"""Anchors of a block, however large the batch: fewer would read all candidates too often."""


def supervised_contrastive(
    rows: Float[Tensor, "m b d"],
    temperature: Float[Tensor, " m"],
    labels: Int64[Tensor, "m g"],
    valid: Bool[Tensor, "m g"],
    spec: ContrastiveSpec,
    ranks: Ranks,
) -> Float[Tensor, " m"]:
    """Supervised contrastive loss of this rank's windows, the anchors, against the global batch.

    Anchors without a positive are skipped, not counted as zero: they would pull the mean down.
    `num_anchors` says how many are left. On several ranks, gradients are those of the sum of all
    ranks' losses: windows are candidates of anchors elsewhere, too.

    Args:
        rows: embeddings of this rank's windows; their length does not matter.
        temperature: tau of each member, dimensionless, > 0.
        labels: kinds of the global batch, 0 to `MOST_KINDS` - 1, in the order of ranks.
        valid: windows of the global batch that are not padding.
        spec: variant, and whether an anchor is its own positive.
        ranks: who shares the global batch; all of them go backward, or none.

    Returns:
        Nats, summed over the anchors that count; 0 where none does.

    Raises:
        NotImplementedError: going backward with `create_graph`: there is no second derivative.
    Source: Khosla et al. 2020, eq. 2 (`out`) and eq. 3 (`in`).
    """
    first = ranks.index * rows.shape[1]
    own = slice(first, first + rows.shape[1])
    unit = functional.normalize(rows, dim=2, eps=1e-8)
    anchors = unit / temperature[:, None, None]
    candidates = ranks.gather(unit)

    kinds = _kinds(labels, valid).to(rows.dtype)
    itself = 0.0 if spec.include_self else 1.0
    counts = (kinds[:, own] * kinds.sum(dim=1, keepdim=True)).sum(dim=2) - itself
    num_positives = counts.clamp(min=1.0)
    padding = torch.zeros_like(valid, dtype=rows.dtype).masked_fill_(~valid, _nothing(rows))
    pairs = _Pairs(padding, labels, counts > 0, first, spec)
    if spec.variant == "out":
        by_kind = anchors @ (kinds.transpose(1, 2) @ candidates).transpose(1, 2)
        similarity = (by_kind * kinds[:, own]).sum(dim=2) - itself * (anchors * unit).sum(dim=2)
        offset = -similarity / num_positives
    else:
        offset = num_positives.log()
    total: Tensor = _Total.apply(anchors, candidates, offset, pairs)  # type: ignore[no-untyped-call]  # torch has no types here
    return total


def num_anchors(
    labels: Int64[Tensor, "m g"], valid: Bool[Tensor, "m g"], include_self: bool
) -> Int64[Tensor, " m"]:
    """Anchors of the global batch that have a positive, for each member; needs no communication."""
    counts = _kinds(labels, valid).sum(dim=1)
    return counts.masked_fill(counts < (1 if include_self else 2), 0).sum(dim=1)


def _kinds(labels: Tensor, valid: Tensor) -> Bool[Tensor, "m g k"]:
    """Which kind each window is of; padding is of none."""
    numbers = torch.arange(MOST_KINDS, device=labels.device)
    return (labels[:, :, None] == numbers) & valid[:, :, None]


@dataclass(frozen=True, slots=True)
class _Block:
    """Some anchors of some members."""

    members: slice
    rows: slice


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Which windows an anchor is compared with.

    Args:
        padding: what to add to similarities, so that padding drops out, shape (m, g).
        labels: of candidates, shape (m, g).
        counted: anchors that have a positive, shape (m, b).
        first: where the anchors start among the candidates.
        spec: variant, and whether an anchor is compared with itself.
    """

    padding: Tensor
    labels: Tensor
    counted: Tensor
    first: int
    spec: ContrastiveSpec

    def differentiate_(self, logits: Tensor, block: _Block) -> Tensor:
        """What the softmax says of each anchor, shape (m, r); `logits` become its gradient.

        That is log sum exp over candidates and, for `in`, minus the same over positives.

        Args:
            logits: similarities of the block's anchors to all candidates, shape (m, r, g).
            block: which anchors these are, r of them.
        """
        nothing = _nothing(logits)
        logits += self.padding[block.members, None, :]
        own = slice(self.first + block.rows.start, self.first + block.rows.stop)
        if not self.spec.include_self:
            logits[:, :, own].diagonal(dim1=1, dim2=2).fill_(nothing)
        if self.spec.variant == "out":
            return _softmax_(logits)
        labels = self.labels[block.members]
        positives = logits.masked_fill(labels[:, own, None] != labels[:, None, :], nothing)
        of_positives = _softmax_(positives)
        of_all = _softmax_(logits)
        logits -= positives
        return of_all - of_positives


class _Total(torch.autograd.Function):
    """Sum over the anchors that count of what the softmax says and an offset, shape (m,).

    Gradients are computed on the way forward, block by block, for nothing is left of a block
    afterwards; on the way back they are multiplied by that of the total.
    """

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, candidates: Tensor, offset: Tensor, pairs: _Pairs
    ) -> Tensor:
        losses = offset.clone()
        columns = candidates.transpose(1, 2)
        to_anchors = torch.empty_like(anchors)
        to_candidates = torch.zeros_like(candidates)
        buffer = anchors.new_empty(0)
        for block in _blocks(anchors, candidates.shape[1]):
            some = anchors[block.members, block.rows]
            logits = torch.bmm(some, columns[block.members], out=buffer.resize_(0))
            losses[block.members, block.rows] += pairs.differentiate_(logits, block)
            if any(ctx.needs_input_grad):
                skipped = ~pairs.counted[block.members, block.rows, None]
                found = torch.bmm(logits, candidates[block.members])
                to_anchors[block.members, block.rows] = found.masked_fill_(skipped, 0.0)
                some = some.masked_fill(skipped, 0.0)
                to_candidates[block.members].baddbmm_(logits.transpose(1, 2), some)
        ctx.save_for_backward(to_anchors, to_candidates, pairs.counted)
        return losses.masked_fill_(~pairs.counted, 0.0).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        if torch.is_grad_enabled():  # else what is saved would count as constant, silently
            raise NotImplementedError("the contrastive loss has no second derivative")
        to_anchors, to_candidates, counted = ctx.saved_tensors
        each = gradient[:, None, None]
        to_offset = gradient[:, None] * counted
        return to_anchors * each, to_candidates * each, to_offset, None


def _blocks(anchors: Tensor, num_candidates: int) -> Iterator[_Block]:
    """All anchors of some members at a time, or some anchors of one member."""
    num_members, num_anchors, _ = anchors.shape
    budget = BLOCK_BYTES if anchors.device.type == "cpu" else BLOCK_BYTES_ON_GPU
    rows = max(LEAST_ROWS, budget // (anchors.element_size() * max(1, num_candidates)))
    members = max(1, rows // max(1, num_anchors))
    for member in range(0, num_members, members):
        for row in range(0, num_anchors, rows):
            yield _Block(
                slice(member, min(member + members, num_members)),
                slice(row, min(row + rows, num_anchors)),
            )


def _softmax_(logits: Tensor) -> Tensor:
    """Softmax along the last dimension, in place; its log sum exp, shape (m, r)."""
    most = logits.amax(dim=2, keepdim=True)
    total = logits.sub_(most).exp_().sum(dim=2, keepdim=True)
    logits /= total
    return (most + total.log()).squeeze(2)


def _nothing(logits: Tensor) -> float:
    """The logit of a pair that is none: its exponential is 0, and sums of two are finite."""
    return torch.finfo(logits.dtype).min / 2
