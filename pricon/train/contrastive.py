"""The supervised contrastive loss, for whole packs, in memory linear in the batch.

The similarities of all pairs of a large batch are never held at once: those of a block of anchors
are computed, turned into the block's losses and gradients, and overwritten by the next block's.
That takes three products of matrices, as many as a loss that keeps them all; two where a block is
the whole batch of some members, and `Pairs.is_symmetric`. The positives of `out` need no pairs at
all: the sum of an anchor's similarities to a kind is its similarity to the sum of that kind.

Shapes: m members, b windows of this rank, g windows of the global batch, d width, k kinds of
windows. Padded windows are marked in `valid` and count nowhere.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pricon.spec.training import ContrastiveSpec
from pricon.train.pairs import Pairs, blocks, kinds_of
from pricon.train.ranks import Ranks


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
    tau = temperature[:, None, None]
    with torch.no_grad():  # `_Total` has gradients of its own
        # Scaled so, the product of two windows is their similarity over tau.
        length = rows.norm(dim=2, keepdim=True).clamp_(min=1e-8) * tau.sqrt()
        pairs = Pairs.of(rows / length, temperature, labels, valid, spec, ranks)
    total: Tensor = _Total.apply(rows, pairs, length, tau, ranks)  # type: ignore[no-untyped-call]  # torch has no types here
    return total


def num_anchors(
    labels: Int64[Tensor, "m g"], valid: Bool[Tensor, "m g"], include_self: bool
) -> Int64[Tensor, " m"]:
    """Anchors of the global batch that have a positive, for each member; needs no communication."""
    counts = kinds_of(labels, valid).sum(dim=1)
    return counts.masked_fill(counts < (1 if include_self else 2), 0).sum(dim=1)


class _Total(torch.autograd.Function):
    """The loss from embeddings on, shape (m,).

    Gradients by the scaled windows are computed on the way forward, block by block, for nothing is
    left of a block afterwards; on the way back they are multiplied by that of the total, and led
    through the scaling.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, pairs: Pairs, length: Tensor, tau: Tensor, ranks: Ranks
    ) -> Tensor:
        losses = rows.new_zeros(rows.shape[:2])
        gradient = torch.zeros_like(pairs.candidates) if ctx.needs_input_grad[0] else None
        _add_negatives(losses, gradient, pairs)
        if pairs.spec.variant == "out":
            _add_positives(losses, gradient, pairs)
        else:
            losses += pairs.num_positives.log()
        if gradient is not None:
            ctx.ranks = ranks
            ctx.save_for_backward(gradient, pairs.anchors, length, tau)
        total: Tensor = losses.mul_(pairs.counted).sum(dim=1)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # else what is saved would count as constant, silently
            raise NotImplementedError("the contrastive loss has no second derivative")
        gradient, scaled, length, tau = ctx.saved_tensors
        found = ctx.ranks.sum_own(gradient * gradients[0][:, None, None])
        # Nothing changes along a window: its length does not matter, but for ones of next to none.
        along = (found * scaled).sum(dim=2, keepdim=True).mul_(-tau)
        return found.addcmul_(scaled, along).div_(length), None, None, None, None


def _add_negatives(losses: Tensor, gradient: Tensor | None, pairs: Pairs) -> None:
    """What the softmax over pairs adds to losses, shape (m, b), and to gradients, (m, g, d)."""
    columns = pairs.candidates.transpose(1, 2)
    buffer = losses.new_empty(0)
    for block in blocks(pairs.anchors, pairs.candidates.shape[1]):
        some, candidates = pairs.anchors[block.members, block.rows], pairs.candidates[block.members]
        logits = torch.bmm(some, columns[block.members], out=buffer.resize_(0))
        said, factors = pairs.differentiate_(logits, block)
        losses[block.members, block.rows] += said
        if gradient is None:
            continue
        found = gradient[block.members]
        if pairs.is_symmetric(block):
            # A window as an anchor and as a candidate: one product for both.
            logits *= factors + factors.transpose(1, 2)
            found.baddbmm_(logits, candidates)
        else:
            of_anchors = torch.bmm(logits, candidates).mul_(factors)
            found[:, pairs.own][:, block.rows].add_(of_anchors)
            found.baddbmm_(logits.transpose(1, 2), some * factors)


def _add_positives(losses: Tensor, gradient: Tensor | None, pairs: Pairs) -> None:
    """What `out` takes off both for the mean similarity of an anchor's positives."""
    itself = 0.0 if pairs.spec.include_self else 1.0
    kinds, anchors = pairs.kinds, pairs.anchors
    sums = kinds.transpose(1, 2) @ pairs.candidates
    by_kind = sums @ anchors.transpose(1, 2)
    similarity = (by_kind * kinds[:, pairs.own].transpose(1, 2)).sum(dim=1)
    similarity -= itself * anchors.norm(dim=2).square_()
    losses -= similarity / pairs.num_positives
    if gradient is None:
        return
    share = (pairs.counted / pairs.num_positives)[:, :, None]
    weights = kinds[:, pairs.own] * share
    gradient.baddbmm_(kinds, weights.transpose(1, 2) @ anchors, alpha=-1.0)
    gradient[:, pairs.own].baddbmm_(weights, sums, alpha=-1.0)
    if itself:
        gradient[:, pairs.own].addcmul_(anchors, share, value=2.0)
