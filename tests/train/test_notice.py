"""Notice that a process will be stopped."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pricon.train import notice as notice_module
from pricon.train.notice import BUSY, GIVEN, Notice
from pricon.train.ranks import Ranks


def is_new_within(notice: Notice, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        notice.look()
        if notice.is_new:
            return True
        time.sleep(0.01)
    return False


def busy(folder: Path) -> list[str]:
    return [file.name for file in folder.glob(f"*{BUSY}")]


def test_notice_is_heeded_once(tmp_path: Path) -> None:
    notice = Notice(tmp_path)
    assert not is_new_within(notice, 0.7)
    (tmp_path / GIVEN).touch()
    assert is_new_within(notice, 2.0)
    notice.heed()
    assert not is_new_within(notice, 0.7)


def test_who_gives_notice_waits_until_it_is_heeded_or_nothing_trains(tmp_path: Path) -> None:
    folder = tmp_path / "leaving"
    notice = Notice(folder)
    mine = [f"{os.getpid()}{BUSY}"]
    with notice.awaits():
        assert busy(folder) == mine
    assert busy(folder) == []
    with notice.awaits():
        (folder / GIVEN).touch()
        assert is_new_within(notice, 2.0)
        assert busy(folder) == mine
        notice.heed()
        assert busy(folder) == []
    with Notice(folder).awaits():
        assert busy(folder) == [], "what begins after the notice is not waited for"


def test_a_folder_that_cannot_be_made_keeps_nobody_from_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notice = Notice(tmp_path / "file" / "leaving")
    with notice.awaits():
        assert not is_new_within(notice, 0.7)


def test_without_a_folder_there_is_no_notice() -> None:
    notice = Notice(None)
    with notice.awaits():
        assert not is_new_within(notice, 0.7)


@dataclass(frozen=True)
class RankOf(Ranks):
    """A rank of a lane all of which is in this process."""

    counters: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, more: int = 0) -> int:
        self.counters[name] += more
        return self.counters[name]


@pytest.fixture
def lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Notice]:
    """What three ranks in three pods have; they look whenever they are asked to."""
    monkeypatch.setattr(notice_module, "_LOOK_EVERY_S", 0.0)
    counters = Counter[str]()
    notices = []
    for index in range(3):
        folder = tmp_path / str(index)
        folder.mkdir()
        (folder / f"{os.getpid()}{BUSY}").touch()
        notices.append(Notice(folder, RankOf(index, 3, counters)))
    return notices


def give(notice: Notice) -> None:
    assert notice.folder is not None
    (notice.folder / GIVEN).touch()
    notice.look()


def waits(notice: Notice) -> bool:
    """Whether whoever has given it waits still."""
    assert notice.folder is not None
    notice.look()
    return busy(notice.folder) != []


def test_notice_to_any_rank_is_heeded_by_the_first(lane: list[Notice]) -> None:
    first, second, third = lane
    first.look()
    assert not first.is_new
    give(second)
    assert not second.is_new, "it is passed on"
    first.look()
    assert first.is_new
    assert waits(second)
    first.heed()
    assert not waits(second)
    assert waits(third)
    assert waits(first), "whose own pod may be told later"
    assert not first.is_new
    give(first)
    assert first.is_new
    first.heed()
    assert not waits(first)
    assert waits(third)


def test_who_is_told_while_others_are_heeded_is_heeded_next(lane: list[Notice]) -> None:
    first, second, third = lane
    give(second)
    first.look()
    give(third)
    first.heed()
    assert (waits(second), waits(third)) == (False, True), "what was saved is older"
    first.look()
    assert first.is_new
    first.heed()
    assert not waits(third)


def test_counters_are_those_of_the_lane(lane: list[Notice], tmp_path: Path) -> None:
    """One who looks for the first time has nothing to heed that was heeded before."""
    first, second, _ = lane
    give(second)
    first.look()
    first.heed()
    again = Notice(tmp_path / "0", first._ranks)
    again.look()
    assert not again.is_new
