"""A checkpoint counts when its commit record verifies; going on equals not having stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pricon.errors import CorpusError
from pricon.heartbeat import beats
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.loop import fit
from pricon.train.notice import GIVEN, Notice
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from tests.train.problem import (
    OPTIMISATION,
    STAGE,
    CrashError,
    Crashing,
    examples,
    layout,
    objective,
    train,
)

MEMBERS = [0, 3, 11, 20]


NEWEST = "epoch-000005-000000007"
"""Checkpoint of a pack that crashed as its sixth epoch ended."""


def train_until(folder: Path, epochs: int, kind: str = "distillation") -> None:
    """Train with a checkpoint after every batch, and stop like a crash after `epochs`."""
    data = examples(kind, MEMBERS, Ranks())
    pack = Pack(layout(kind), data.keys, STAGE, OPTIMISATION, Ranks())
    checkpoints = Checkpoints(open_storage(str(folder)), list(map(str, MEMBERS)), 0.0)

    def crash(trained: Pack) -> None:
        if trained.num_epochs > epochs:
            raise CrashError

    with pytest.raises(CrashError):
        fit(pack, data, objective(kind, MEMBERS, Ranks()), checkpoints, crash)


def resumed(folder: Path, members: list[int], kind: str = "distillation") -> Pack:
    checkpoints = Checkpoints(open_storage(str(folder)), list(map(str, members)), 1e9)
    return train(kind, members, checkpoints=checkpoints)


@pytest.mark.parametrize("kind", ["contrastive", "distillation"])
@pytest.mark.parametrize(("epoch", "batch"), [(0, 1), (3, 4)])
def test_going_on_in_the_middle_of_an_epoch_gives_the_very_bits(
    tmp_path: Path, kind: str, epoch: int, batch: int
) -> None:
    data = examples(kind, MEMBERS, Ranks())
    pack = Pack(layout(kind), data.keys, STAGE, OPTIMISATION, Ranks())
    often = Checkpoints(open_storage(str(tmp_path)), list(map(str, MEMBERS)), 0.0)
    crashing = Crashing(data, epoch, batch)
    with pytest.raises(CrashError):
        fit(pack, crashing, objective(kind, MEMBERS, Ranks()), often, lambda _: None)
    assert (tmp_path / f"epoch-{epoch:06d}-{batch:09d}.commit.json").exists()
    batches: list[int] = []
    pack = Pack(layout(kind), data.keys, STAGE, OPTIMISATION, Ranks())
    checkpoints = Checkpoints(open_storage(str(tmp_path)), list(map(str, MEMBERS)), 1e9)
    step = pack.step

    def counted(*arguments: Any) -> None:
        batches.append(pack.num_batches)
        step(*arguments)

    pack.step = counted  # type: ignore[method-assign, assignment]
    fit(pack, data, objective(kind, MEMBERS, Ranks()), checkpoints, lambda _: None)
    whole = train(kind, MEMBERS)
    assert batches[0] == batch, "batches before the crash were trained again"
    assert torch.equal(pack.best, whole.best)
    assert [m.training for m in pack.members] == [m.training for m in whole.members]
    assert [m.validation for m in pack.members] == [m.validation for m in whole.members]


@pytest.mark.parametrize("kind", ["contrastive", "distillation"])
@pytest.mark.parametrize("epochs", [1, 5])
def test_going_on_gives_the_very_bits_of_not_having_stopped(
    tmp_path: Path, kind: str, epochs: int
) -> None:
    train_until(tmp_path, epochs, kind)
    seen: list[int] = []
    data = examples(kind, MEMBERS, Ranks())
    pack = Pack(layout(kind), data.keys, STAGE, OPTIMISATION, Ranks())
    checkpoints = Checkpoints(open_storage(str(tmp_path)), list(map(str, MEMBERS)), 1e9)
    fit(
        pack,
        data,
        objective(kind, MEMBERS, Ranks()),
        checkpoints,
        lambda p: seen.append(p.num_epochs),
    )
    whole = train(kind, MEMBERS)
    assert seen[0] == epochs + 1, "the checkpoint was not used"
    assert torch.equal(pack.best, whole.best)
    assert [m.validation for m in pack.members] == [m.validation for m in whole.members]


def test_a_pack_of_some_members_takes_theirs(tmp_path: Path) -> None:
    train_until(tmp_path, 5)
    before = beats()
    some = resumed(tmp_path, [20, 3])
    assert beats() > before
    whole = train("distillation", MEMBERS)
    assert torch.allclose(some.best, whole.best[[3, 1]], atol=1e-6)
    assert [m.best_epoch for m in some.members] == [whole.members[i].best_epoch for i in (3, 1)]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_until(tmp_path, 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch-000005-000000006.commit.json",
        "epoch-000005-000000006.pt",
        "epoch-000005-000000007.commit.json",
        "epoch-000005-000000007.pt",
    ]
    payload = bytearray((tmp_path / f"{NEWEST}.pt").read_bytes())
    payload[len(payload) // 2] ^= 1
    (tmp_path / f"{NEWEST}.pt").write_bytes(payload)
    pack = resumed(tmp_path, MEMBERS)
    assert f"damaged checkpoint is passed over  name={NEWEST}" in caplog.text
    assert torch.equal(pack.best, train("distillation", MEMBERS).best)


def test_a_payload_without_commit_record_is_no_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_until(tmp_path, 5)
    (tmp_path / f"{NEWEST}.commit.json").unlink()
    (tmp_path / "epoch-000005-000000006.commit.json").write_text("null", encoding="utf-8")
    pack = resumed(tmp_path, MEMBERS)
    assert caplog.text.count("without a commit record is passed over") == 2
    assert torch.equal(pack.best, train("distillation", MEMBERS).best)


def test_checkpoints_of_other_models_are_not_taken(tmp_path: Path) -> None:
    train_until(tmp_path, 5)
    pack = resumed(tmp_path, [0, 7])
    assert torch.equal(pack.best, train("distillation", [0, 7]).best)


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    train_until(tmp_path, 2)
    (tmp_path / "epoch-000009.pt").write_bytes(b"orphan of a crash")
    Checkpoints(open_storage(str(tmp_path)), [], 1.0).clear()
    assert not list(tmp_path.glob("*"))


def test_no_checkpoint_before_the_interval(tmp_path: Path) -> None:
    checkpoints = Checkpoints(open_storage(str(tmp_path)), list(map(str, MEMBERS)), 1e9)
    train("cross_entropy", MEMBERS, checkpoints=checkpoints)
    assert not list(tmp_path.glob("*"))


def test_on_notice_one_is_saved_before_the_interval(tmp_path: Path) -> None:
    notice = Notice(tmp_path / "leaving")
    with notice.awaits():
        (tmp_path / "leaving" / GIVEN).touch()
        folder = open_storage(str(tmp_path / "checkpoints"))
        told: list[Pack] = []
        checkpoints = Checkpoints(folder, list(map(str, MEMBERS)), 1e9, told.append, notice)
        train("cross_entropy", MEMBERS, checkpoints=checkpoints)
        assert notice.is_heeded
    assert len(told) == 1
    assert [path for path in folder.list() if path.endswith(".commit.json")]
    checkpoints.saved_at -= 3.0
    checkpoints.save_if_due(told[0])
    assert len(told) == 2, "who goes on after notice saves every few seconds"
    checkpoints.save_if_due(told[0])
    assert len(told) == 2


def test_only_a_checkpoint_that_counts_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(pack: Pack) -> None:
        told.append((pack.num_epochs, pack.num_batches))

    (tmp_path / "epoch-000000-000000003.commit.json").mkdir()
    (tmp_path / "epoch-000000-000000003.commit.json" / "in-the-way").touch()
    often = Checkpoints(open_storage(str(tmp_path)), list(map(str, MEMBERS)), 0.0, tell)
    with pytest.raises(CorpusError):
        train("distillation", MEMBERS, checkpoints=often)
    assert told == [(0, 1), (0, 2)]


def test_the_commit_record_names_the_payload(tmp_path: Path) -> None:
    train_until(tmp_path, 2)
    name = "epoch-000002-000000007"
    record = json.loads((tmp_path / f"{name}.commit.json").read_text(encoding="utf-8"))
    assert record["num_bytes"] == (tmp_path / f"{name}.pt").stat().st_size
