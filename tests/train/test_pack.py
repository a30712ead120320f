"""A member's result does not depend on its pack."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from pricon.model.network import initial_parameters
from pricon.spec.training import OptimisationSpec, StageSpec
from pricon.train.pack import Pack, Progress
from pricon.train.ranks import Ranks
from tests.train.problem import OPTIMISATION, STAGE, examples, layout, objective, train

KINDS = ("contrastive", "cross_entropy", "distillation", "regression")


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_alone_equals_the_same_trial_in_a_pack_of_fifty(kind: str) -> None:
    together = train(kind, range(50))
    stopped = {member.best_epoch for member in together.members}
    assert len(stopped) > 3, "members must stop at different epochs, or compaction goes untested"
    for member in (0, 7, 23, 49):
        alone = train(kind, [member])
        assert alone.members[0].best_epoch == together.members[member].best_epoch
        assert len(alone.members[0].validation) == len(together.members[member].validation)
        assert torch.allclose(alone.best[0], together.best[member], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("optimisation", "optimiser"),
    [
        (OPTIMISATION, torch.optim.Adam),
        (OptimisationSpec(weight_decay=0.1), partial(torch.optim.Adam, weight_decay=0.1)),
        (
            OptimisationSpec(optimiser="adamw", weight_decay=0.1),
            partial(torch.optim.AdamW, weight_decay=0.1),
        ),
    ],
    ids=["adam", "adam with decay", "adamw"],
)
def test_a_pack_of_one_equals_a_plain_torch_loop(
    optimisation: OptimisationSpec, optimiser: Callable[..., torch.optim.Optimizer]
) -> None:
    """An independent loop: nn.Linear, torch's optimiser, F.cross_entropy, one model."""
    from torch import nn

    data = examples("distillation", [4], Ranks())
    start = initial_parameters(layout("distillation"), data.keys)[0]
    width, hidden = 7, 16
    encoder, head = nn.Linear(width, hidden), nn.Linear(hidden, 2)
    cuts = [width * hidden, hidden, hidden * 2, 2]
    weight, bias, head_weight, head_bias = start.split(cuts)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        encoder.weight.copy_(weight.view(width, hidden).T)
        encoder.bias.copy_(bias)
        head.weight.copy_(head_weight.view(hidden, 2).T)
        head.bias.copy_(head_bias)
    plain_optimiser = optimiser([*encoder.parameters(), *head.parameters()], lr=STAGE.learning_rate)
    pack = Pack(layout("distillation"), data.keys, STAGE, optimisation, Ranks())
    loss_of = objective("distillation", [4], Ranks())
    for batch in list(data.training((0,), epoch=0)):
        packed = loss_of.training(pack.network, batch)
        pack.step(packed.total / packed.count, batch.has_windows)
        kept = batch.valid[0]
        mask = torch.ones(len(kept), hidden)
        if batch.dropout is not None:
            from pricon.model.keyed import dropout_mask

            mask = dropout_mask(batch.dropout.keys, batch.dropout.windows, hidden, 0.1)[0]
        logits = head(torch.relu(encoder(batch.inputs["player"][0])) * mask)[kept]
        loss = nn.functional.cross_entropy(logits, batch.labels[0][kept])
        plain_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        plain_optimiser.step()
        assert loss.item() == pytest.approx((packed.total / packed.count).item(), abs=1e-6)
    plain = torch.cat(
        [encoder.weight.T.flatten(), encoder.bias, head.weight.T.flatten(), head.bias]
    )
    packed_now = torch.as_tensor(pack.state()["parameters"])[0]
    assert torch.allclose(packed_now, plain, rtol=0, atol=1e-6)


def test_members_without_windows_in_a_batch_are_left_as_they_are() -> None:
    data = examples("cross_entropy", [0, 1], Ranks())
    pack = Pack(layout("cross_entropy"), data.keys, STAGE, OPTIMISATION, Ranks())
    loss_of = objective("cross_entropy", [0, 1], Ranks())
    for has_windows in ((True, True), (True, False)):
        before = pack.state()["parameters"].clone()
        batch = next(iter(data.training((0, 1), epoch=0)))
        loss = loss_of.training(pack.network, batch)
        pack.step(loss.total / loss.count, has_windows)
        moved = (pack.state()["parameters"] != before).any(dim=1).tolist()
        assert moved == list(has_windows)
    assert [int(state["step"]) for state in pack.state()["optimiser"]] == [2, 1]


def test_gradients_are_clipped_for_each_member_by_itself() -> None:
    data = examples("cross_entropy", [0, 1], Ranks())
    free = Pack(layout("cross_entropy"), data.keys, STAGE, OPTIMISATION, Ranks())
    batch = next(iter(data.training((0, 1), epoch=0)))
    loss = objective("cross_entropy", [0, 1], Ranks()).training(free.network, batch)
    free.step(loss.total / loss.count * torch.tensor([1000.0, 1e-3]), batch.has_windows)
    half = OptimisationSpec(gradient_clip_norm=0.5)
    clipped = Pack(layout("cross_entropy"), data.keys, STAGE, half, Ranks())
    loss = objective("cross_entropy", [0, 1], Ranks()).training(clipped.network, batch)
    clipped.step(loss.total / loss.count * torch.tensor([1000.0, 1e-3]), batch.has_windows)
    first = [state["exp_avg"].norm().item() * 10 for state in clipped.state()["optimiser"]]
    unclipped = [state["exp_avg"].norm().item() * 10 for state in free.state()["optimiser"]]
    assert first[0] == pytest.approx(0.5, rel=1e-4)
    assert unclipped[0] > 50
    assert first[1] == pytest.approx(unclipped[1], rel=1e-4)


def test_stopping_waits_for_patience_and_keeps_the_best() -> None:
    member = Progress()
    losses = [1.0, 0.8, 0.9, 0.7, 0.7, 0.75, 0.71]
    judged = [member.judge(0.0, loss, patience=3) for loss in losses]
    assert [best for best, _ in judged] == [True, True, False, True, False, False, False]
    assert [goes_on for _, goes_on in judged] == [True] * 6 + [False]
    assert member.best_epoch == 3


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_member_that_diverges_fails_by_itself(loss: float) -> None:
    data = examples("cross_entropy", [0, 1, 2], Ranks())
    pack = Pack(layout("cross_entropy"), data.keys, STAGE, OPTIMISATION, Ranks())
    pack.judge([1.0, 1.0, 1.0], [1.0, loss, 1.0])
    assert pack.live == (0, 2)
    assert pack.members[1].failure == f"validation loss is {loss} after epoch 0"


def test_a_diverging_member_does_not_touch_its_neighbours() -> None:
    data = examples("cross_entropy", [0, 1], Ranks())
    pack = Pack(layout("cross_entropy"), data.keys, STAGE, OPTIMISATION, Ranks())
    loss_of = objective("cross_entropy", [0, 1], Ranks())
    for batch in data.training((0, 1), epoch=0):
        loss = loss_of.training(pack.network, batch)
        poison = torch.tensor([1.0, float("nan")])
        pack.step(loss.total / loss.count * poison, batch.has_windows)
    parameters = pack.state()["parameters"]
    assert torch.isfinite(parameters[0]).all()
    assert not torch.isfinite(parameters[1]).any()


def test_epochs_are_limited() -> None:
    pack = train("cross_entropy", [0, 1], stage=StageSpec(learning_rate=1e-3, epochs=2, patience=9))
    assert [len(member.validation) for member in pack.members] == [2, 2]
    assert pack.is_done
