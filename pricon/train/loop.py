"""The training loop: one for teachers, probes and students, for one rank or many."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import Batch, Examples
from pricon.train.objectives import Loss, Objective
from pricon.train.pack import Pack


def fit(
    pack: Pack,
    examples: Examples,
    objective: Objective,
    checkpoints: Checkpoints,
    listen: Callable[[Pack], None],
) -> None:
    """Train `pack` until every member has stopped; its best weights are in `pack.best`.

    Args:
        pack: the models. Goes on from the newest checkpoint that verifies, if there is one.
        examples: what they read.
        objective: what they minimise and are selected by.
        checkpoints: where the state of the pack is kept while it trains.
        listen: told after every epoch.
    """
    checkpoints.restore(pack)
    while not pack.is_done:
        training = _Mean(pack)
        for batch in examples.training(pack.live, epoch=pack.num_epochs):
            loss = objective.training(pack.network, batch)
            pack.step(_share_of_mean(loss, pack), batch.has_windows)
            training.add(loss)
        validation = _validate(pack, examples.validation(pack.live), objective)
        pack.judge(training.by_member(), validation)
        listen(pack)
        checkpoints.save_if_due(pack)


def _share_of_mean(loss: Loss, pack: Pack) -> Tensor:
    """This rank's share of the mean over the global batch, shape (live members,).

    Gradients are averaged over ranks afterwards; the factor makes that average the sum.
    """
    return pack.ranks.size * loss.total / loss.count.clamp(min=1)


@torch.no_grad()
def _validate(pack: Pack, batches: Iterable[Batch], objective: Objective) -> list[float]:
    mean = _Mean(pack)
    for batch in batches:
        mean.add(objective.validation(pack.network, batch))
    return mean.by_member()


class _Mean:
    """Mean loss of each live member over an epoch: sums first, divided once."""

    def __init__(self, pack: Pack) -> None:
        self.ranks = pack.ranks
        self.total = torch.zeros(len(pack.live), dtype=torch.float64, device=pack.best.device)
        self.count = torch.zeros_like(self.total)

    def add(self, loss: Loss) -> None:
        self.total += loss.total.detach()
        self.count += loss.count

    def by_member(self) -> list[float]:
        """NaN where nothing counted: a member without an example cannot be judged."""
        means: list[float] = (self.ranks.sum(self.total) / self.count).tolist()
        return means
