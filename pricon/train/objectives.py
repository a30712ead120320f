"""What a stage minimises, and what it is selected by. The only thing in which stages differ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float32
from torch import Tensor, nn

from pricon.spec.training import ContrastiveSpec, DistillationSpec
from pricon.train.contrastive import num_anchors, supervised_contrastive
from pricon.train.examples import Batch
from pricon.train.losses import (
    cosine_distance,
    distillation,
    divergence,
)
from pricon.train.ranks import Ranks

WindowLoss = Callable[[Tensor, Tensor], Tensor]
"""Scores (m, b, d_out) and labels (m, b) -> loss of each window (m, b): what of `losses` suits the
task, cross-entropy of classes or squared error of values."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of a batch, by live member (m of them).

    Args:
        total: sum over this rank's examples, shape (m,).
        count: examples of the global batch that count, shape (m,).
    """

    total: Tensor
    count: Tensor


class Objective(Protocol):
    """Losses of one kind of stage."""

    def training(self, network: nn.Module, batch: Batch) -> Loss:
        """What gradients are taken of."""
        ...

    def validation(self, network: nn.Module, batch: Batch) -> Loss:
        """What early stopping looks at."""
        ...


@dataclass(frozen=True, slots=True)
class Contrastive:
    """Supervised contrastive loss over the global batch.

    Args:
        spec: variant, and what counts as a positive.
        temperature: tau of every member of the pack, float32, shape (members,).
        ranks: who shares the global batch.
    """

    spec: ContrastiveSpec
    temperature: Float32[Tensor, " members"]
    ranks: Ranks

    def training(self, network: nn.Module, batch: Batch) -> Loss:
        """See `Objective`."""
        _, projection = network(batch.inputs)
        temperature = self.temperature[batch.members]
        total = supervised_contrastive(
            projection, temperature, batch.labels, batch.valid, self.spec, self.ranks
        )
        return Loss(total, num_anchors(batch.labels, batch.valid, self.spec.include_self))

    def validation(self, network: nn.Module, batch: Batch) -> Loss:
        """See `Objective`."""
        return self.training(network, batch)


@dataclass(frozen=True, slots=True)
class Supervised:
    """What the head says of each window against what is known of it."""

    loss: WindowLoss

    def training(self, network: nn.Module, batch: Batch) -> Loss:
        """See `Objective`."""
        _, scores = network(batch.inputs, batch.dropout)
        return _over_windows(self.loss(scores, batch.labels[:, batch.own]), batch)

    def validation(self, network: nn.Module, batch: Batch) -> Loss:
        """See `Objective`."""
        return self.training(network, batch)


@dataclass(frozen=True, slots=True)
class Distillation:
    """All students of one shape: supervised and, by `weight`, by what the member's teacher says.

    Args:
        spec: what is imitated, and how.
        weight: a of every member of the pack, float32, shape (members,); 0 is end to end.
        temperature: T of every member, float32, shape (members,).
        loss: the supervised one.
    """

    spec: DistillationSpec
    weight: Float32[Tensor, " members"]
    temperature: Float32[Tensor, " members"]
    loss: WindowLoss

    def training(self, network: nn.Module, batch: Batch) -> Loss:
        """See `Objective`."""
        embedding, scores = network(batch.inputs, batch.dropout)
        supervised = self.loss(scores, batch.labels[:, batch.own])
        if batch.teacher is None:
            return _over_windows(supervised, batch)
        taught = self._from_teacher(embedding, scores, batch)
        mixed = distillation(supervised, taught, self.weight[batch.members])
        return _over_windows(mixed, batch)

    def _from_teacher(self, embedding: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """How far each window is from what the teacher makes of it, shape (m, b)."""
        assert batch.teacher is not None
        if self.spec.imitate == "embedding":
            return cosine_distance(embedding, batch.teacher)
        temperature = self.temperature[batch.members]
        taught = divergence(logits, batch.teacher, temperature)
        if self.spec.scale_by_temperature_squared:
            return temperature[:, None] ** 2 * taught
        return taught

    def validation(self, network: nn.Module, batch: Batch) -> Loss:
        """The supervised loss alone, so that all arms are selected by one criterion."""
        return Supervised(self.loss).validation(network, batch)


def _over_windows(losses: Float32[Tensor, "m b"], batch: Batch) -> Loss:
    losses = losses.masked_fill(~batch.valid[:, batch.own], 0.0)
    return Loss(losses.sum(dim=1), batch.valid.sum(dim=1))
