"""The training loop: one for teachers, probes and students, for one rank or many."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from pricon.heartbeat import beat
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
        for batch in examples.training(pack.live, epoch=pack.num_epochs, after=pack.num_batches):
            loss = objective.training(pack.network, batch)
            pack.step(_share_of_mean(loss, pack), batch.has_windows)
            pack.training.add(pack.ranks.sum(loss.total.detach().double()), loss.count)
            pack.num_batches = batch.number + 1
            checkpoints.save_if_due(pack)
            beat()
        validation = _validate(pack, examples.validation(pack.live), objective)
        pack.judge(pack.training.by_member(), validation)
        listen(pack)
        checkpoints.save_if_due(pack)


def _share_of_mean(loss: Loss, pack: Pack) -> Tensor:
    """This rank's share of the mean over the global batch, shape (live members,).

    Gradients are averaged over ranks afterwards; the factor makes that average the sum.
    """
    return pack.ranks.size * loss.total / loss.count.clamp(min=1)


@torch.no_grad()
def _validate(pack: Pack, batches: Iterable[Batch], objective: Objective) -> list[float]:
    mean = pack.new_mean()
    for batch in batches:
        loss = objective.validation(pack.network, batch)
        mean.add(loss.total, loss.count)
        beat()
    mean.total = pack.ranks.sum(mean.total)
    return mean.by_member()
