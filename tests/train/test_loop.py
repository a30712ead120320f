"""Known losses of five epochs; what the loop hands to its listener and to early stopping."""

import json
import math
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from pricon.heartbeat import beats
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import Part
from pricon.train.loop import fit
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from tests.train.problem import OPTIMISATION, STAGE, examples, layout, objective, train

GOLDEN = Path(__file__).parents[1] / "golden" / "losses.json"
KINDS = ("contrastive", "cross_entropy", "distillation")
MEMBERS = [0, 3, 11]
FIVE = STAGE.model_copy(update={"epochs": 5, "patience": 5})
NO_CHECKPOINTS = Checkpoints(None, [], 1e9)


@cache
def five_epochs(kind: str) -> Pack:
    return train(kind, MEMBERS, stage=FIVE)


def losses(kind: str) -> dict[str, list[list[float]]]:
    """Curves of each member, rounded to what the golden file holds."""
    members = five_epochs(kind).members
    return {
        "training": [[round(loss, 6) for loss in member.training] for member in members],
        "validation": [[round(loss, 6) for loss in member.validation] for member in members],
    }


def test_losses_are_the_known_ones() -> None:
    found = {kind: losses(kind) for kind in KINDS}
    if os.environ.get("PRICON_GOLDEN") == "update":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {*golden} == {*KINDS}
    for kind in KINDS:
        for part, curves in golden[kind].items():
            for member, curve, expected in zip(MEMBERS, found[kind][part], curves, strict=True):
                assert curve == pytest.approx(expected, abs=1e-4, rel=0), (
                    f"{part} losses of member {member} under {kind} have moved: the code computes "
                    "something else than before. If that is meant, raise SCIENCE in "
                    "pricon/plan/identity.py in the same commit, or finished stages of the old "
                    "code are taken for results of the new; then PRICON_GOLDEN=update rewrites "
                    "this file"
                )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learnt_is_worth_something(kind: str) -> None:
    for member in five_epochs(kind).members:
        assert member.best_epoch > 0
        assert member.validation[member.best_epoch] < member.validation[0]
        assert member.training[-1] < member.training[0]


def test_an_epochs_loss_is_the_mean_over_windows_not_over_batches() -> None:
    """A learning rate of almost nothing: the training loss is then that of the initial weights."""
    still = STAGE.model_copy(update={"learning_rate": 1e-30, "epochs": 1})
    data = examples("cross_entropy", MEMBERS, Ranks(), batch_size=50)
    pack = Pack(layout("cross_entropy"), data.keys, still, OPTIMISATION, Ranks())
    network = pack.network
    everything = next(iter(replace(data, batch_size=1000).validation((0, 1, 2))))
    _, logits = network(everything.inputs)
    expected = []
    for member, valid in enumerate(everything.valid):
        assert 0 < int(valid.sum()) % 50 < 50, "the last batch must be short"
        loss = torch.nn.functional.cross_entropy(
            logits[member][valid], everything.labels[member][valid]
        )
        expected.append(loss.item())
    fit(pack, data, objective("cross_entropy", MEMBERS, Ranks()), NO_CHECKPOINTS, lambda _: None)
    assert [m.validation[0] for m in pack.members] == pytest.approx(expected, abs=1e-6)


def test_the_listener_hears_of_every_epoch_and_of_who_goes_on() -> None:
    data = examples("distillation", MEMBERS, Ranks())
    quick = STAGE.model_copy(update={"learning_rate": 1e-2, "patience": 1})
    pack = Pack(layout("distillation"), data.keys, quick, OPTIMISATION, Ranks())
    heard: list[tuple[int, int]] = []
    fit(
        pack, data, objective("distillation", MEMBERS, Ranks()), NO_CHECKPOINTS,
        lambda told: heard.append((told.num_epochs, len(told.live))),
    )  # fmt: skip
    ends = [len(member.validation) for member in pack.members]
    assert [epoch for epoch, _ in heard] == list(range(1, max(ends) + 1))
    for epoch, live in heard:
        assert live == sum(end > epoch for end in ends) or epoch == STAGE.epochs
    assert len({*ends}) > 1, "members must stop at different epochs"


def test_every_batch_is_a_heartbeat() -> None:
    data = examples("cross_entropy", MEMBERS, Ranks())
    live = tuple(range(len(MEMBERS)))
    batches = len([*data.training(live, epoch=0)]) + len([*data.validation(live)])
    before = beats()
    train("cross_entropy", MEMBERS, stage=FIVE)
    assert beats() - before == FIVE.epochs * batches > 2 * FIVE.epochs


def test_a_finished_pack_is_left_alone() -> None:
    data = examples("cross_entropy", MEMBERS, Ranks())
    pack = Pack(layout("cross_entropy"), data.keys, FIVE, OPTIMISATION, Ranks())
    told: list[int] = []
    for _ in range(2):
        fit(
            pack, data, objective("cross_entropy", MEMBERS, Ranks()), NO_CHECKPOINTS,
            lambda trained: told.append(trained.num_epochs),
        )  # fmt: skip
    assert told == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("part", "fails"), [("validation", True), ("train", False)])
def test_a_member_without_examples_is_judged_by_what_it_has(part: Part, fails: bool) -> None:
    """Nobody to validate on means no best epoch; its neighbours train as if it were not there."""
    data = examples("cross_entropy", MEMBERS, Ranks())
    rows = data.rows[part].clone()
    rows[1] = -1
    counts = tuple(0 if member == 1 else n for member, n in enumerate(data.counts[part]))
    data = replace(data, rows={**data.rows, part: rows}, counts={**data.counts, part: counts})
    pack = Pack(layout("cross_entropy"), data.keys, FIVE, OPTIMISATION, Ranks())
    fit(pack, data, objective("cross_entropy", MEMBERS, Ranks()), NO_CHECKPOINTS, lambda _: None)
    lonely = pack.members[1]
    assert (lonely.failure == "validation loss is nan after epoch 0") == fails
    assert all(math.isnan(loss) for loss in lonely.training) != fails
    whole = five_epochs("cross_entropy").best
    for member in (0, 2):
        assert torch.allclose(pack.best[member], whole[member], rtol=0, atol=1e-6)
