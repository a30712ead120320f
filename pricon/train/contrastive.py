"""The supervised contrastive loss, for whole packs, in memory linear in the batch.

The similarities of all pairs of windows are never held: those of a block of anchors are computed,
turned into the block's losses and gradients, and overwritten by the next block's. That takes three
products of matrices, as many as a loss that keeps them all, or two where a block holds every pair
of a member. The positives of `out` need no pairs at all: the sum of an anchor's similarities to a
kind is its similarity to the sum of that kind.

Shapes: m members, b windows of this rank, g windows of the global batch, d width, k kinds of
windows. Padded windows are marked in `valid` and count nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pricon.corpus.labels import MOST_KINDS
from pricon.spec.training import ContrastiveSpec
from pricon.train.ranks import Ranks

BLOCK_BYTES = 4 * 2**20
"""Similarities held at once on a CPU: few enough for its caches."""

BLOCK_BYTES_ON_GPU = 256 * 2**20
"""The same on a GPU: enough to keep it busy, and packs of small batches one block (not tuned)."""

_MILD = 1 / 64
"""Temperatures from which on the exponentials of similarities, and their sums over a batch, are
ordinary float32 numbers as they are: nothing need be subtracted first."""

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
    tau = temperature[:, None, None]
    with torch.no_grad():  # `_Total` has gradients of its own
        # Scaled so, the product of two windows is their similarity over tau.
        length = rows.norm(dim=2, keepdim=True).clamp_(min=1e-8) * tau.sqrt()
        pairs = _Pairs.of(rows / length, temperature, labels, valid, spec, ranks)
    total: Tensor = _Total.apply(rows, pairs, length, tau, ranks)  # type: ignore[no-untyped-call]  # torch has no types here
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


class _Total(torch.autograd.Function):
    """The loss from embeddings on, shape (m,).

    Gradients by the scaled windows are computed on the way forward, block by block, for nothing is
    left of a block afterwards; on the way back they are multiplied by that of the total, and led
    through the scaling.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, pairs: "_Pairs", length: Tensor, tau: Tensor, ranks: Ranks
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
        # Nothing changes along a window: its length does not matter.
        along = (found * scaled).sum(dim=2, keepdim=True).mul_(-tau)
        return found.addcmul_(scaled, along).div_(length), None, None, None, None


@dataclass(frozen=True, slots=True)
class _Block:
    """Some anchors of some members."""

    members: slice
    rows: slice


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
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
        scaled: Tensor,
        temperature: Tensor,
        labels: Tensor,
        valid: Tensor,
        spec: ContrastiveSpec,
        ranks: Ranks,
    ) -> "_Pairs":
        """Count positives, and fetch the candidates of other ranks."""
        first = ranks.index * scaled.shape[1]
        kinds = _kinds(labels, valid).to(scaled.dtype)
        own = kinds[:, first : first + scaled.shape[1]]
        counts = (own * kinds.sum(dim=1, keepdim=True)).sum(dim=2)
        counts = counts if spec.include_self else counts - 1.0
        # Only a CPU is asked what it holds: a GPU would have to be waited for.
        is_asked = scaled.device.type == "cpu"
        padding = None
        if not (is_asked and bool(valid.all())):
            padding = torch.zeros_like(valid, dtype=scaled.dtype)
            padding.masked_fill_(~valid, _nothing(scaled))
        return _Pairs(
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

    def is_symmetric(self, block: _Block) -> bool:
        """Whether exponentials of the block's similarities are those of each pair, both ways."""
        everyone = self.candidates.shape[1]
        is_whole = block.rows == slice(0, everyone) and self.anchors.shape[1] == everyone
        return is_whole and self.padding is None and self.is_mild and self.spec.variant == "out"

    def differentiate_(self, logits: Tensor, block: _Block) -> tuple[Tensor, Tensor]:
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


def _add_negatives(losses: Tensor, gradient: Tensor | None, pairs: _Pairs) -> None:
    """What the softmax over pairs adds to losses, shape (m, b), and to gradients, (m, g, d)."""
    columns = pairs.candidates.transpose(1, 2)
    buffer = losses.new_empty(0)
    for block in _blocks(pairs.anchors, pairs.candidates.shape[1]):
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
            found[:, pairs.own][:, block.rows] += torch.bmm(logits, candidates).mul_(factors)
            found.baddbmm_(logits.transpose(1, 2), some * factors)


def _add_positives(losses: Tensor, gradient: Tensor | None, pairs: _Pairs) -> None:
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
    # Where nothing is left, such as of a batch of one, the sum is 0, and nobody counts.
    total = logits.exp_().sum(dim=2, keepdim=True).clamp_(min=torch.finfo(logits.dtype).tiny)
    said = total.log() if most is None else total.log().add_(most)
    return said.squeeze(2), total


def _nothing(logits: Tensor) -> float:
    """The logit of a pair that is none: its exponential is 0, and sums of two are finite."""
    return torch.finfo(logits.dtype).min / 2
