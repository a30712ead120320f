"""Two gloo ranks give what one rank gives: losses, gradients, trained weights."""

from typing import Any

import pytest
import torch

from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from tests.gloo import on_ranks
from tests.train.problem import OPTIMISATION, STAGE, examples, layout, objective, train

MEMBERS = [0, 3, 11]
KINDS = ("contrastive", "cross_entropy", "distillation", "regression", "gru", "transformer")


def first_steps(kind: str, ranks: Ranks, batch_size: int) -> dict[str, torch.Tensor]:
    """Losses and gradients of the first two steps; the second batch of member 0 is short."""
    data = examples(kind, MEMBERS, ranks, batch_size)
    pack = Pack(layout(kind), data.keys, STAGE, OPTIMISATION, ranks)
    losses, gradients = [], []
    batches = list(data.training(pack.live, epoch=0))
    for batch in (batches[0], batches[-1]):
        loss = objective(kind, MEMBERS, ranks).training(pack.network, batch)
        share = ranks.size * loss.total / loss.count.clamp(min=1)
        losses.append(ranks.sum(loss.total.detach()) / loss.count.clamp(min=1))
        share.sum().backward()  # type: ignore[no-untyped-call]
        parameter = next(pack.network.parameters())
        assert parameter.grad is not None
        gradients.append(parameter.grad.clone())
        parameter.grad = None
    return {"losses": torch.stack(losses), "gradients": torch.stack(gradients)}


def answer() -> dict[str, Any]:
    """What one of two ranks computes."""
    ranks = Ranks.current()
    found: dict[str, Any] = {}
    for kind in KINDS:
        # 63 does not divide by two: the ranks' slices are padded.
        for batch_size in (64, 63):
            steps = first_steps(kind, ranks, batch_size)
            found |= {f"{kind} {batch_size} {name}": steps[name] for name in steps}
        pack = train(kind, MEMBERS, ranks)
        found[f"{kind} best"] = pack.best
        found[f"{kind} epochs"] = [m.best_epoch for m in pack.members]
        found[f"{kind} losses"] = [m.validation for m in pack.members]
    return found


@pytest.fixture(scope="module")
def two_ranks() -> dict[str, Any]:
    return on_ranks(answer)[0]


@pytest.mark.multiprocess
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [64, 63])
def test_losses_and_gradients_are_those_of_one_rank(
    two_ranks: dict[str, Any], kind: str, batch_size: int
) -> None:
    alone = first_steps(kind, Ranks(), batch_size)
    for name in ("losses", "gradients"):
        both = two_ranks[f"{kind} {batch_size} {name}"]
        assert torch.allclose(both, alone[name], rtol=0, atol=1e-6)
    assert alone["gradients"].abs().max() > 1e-2


@pytest.mark.multiprocess
@pytest.mark.parametrize("kind", KINDS)
def test_trained_models_are_those_of_one_rank(two_ranks: dict[str, Any], kind: str) -> None:
    alone = train(kind, MEMBERS)
    assert two_ranks[f"{kind} epochs"] == [m.best_epoch for m in alone.members]
    for both, member in zip(two_ranks[f"{kind} losses"], alone.members, strict=True):
        assert both == pytest.approx(member.validation, abs=1e-4)
    # Attention does not depend on the bias of its keys, which Adam moves by the noise of sums.
    if kind != "transformer":
        both = two_ranks[f"{kind} best"]
        assert torch.allclose(both, alone.best, rtol=0, atol=1e-4)
