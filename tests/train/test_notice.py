"""Notice that a process will be stopped."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from pricon.train.notice import BUSY, GIVEN, Notice
from pricon.train.ranks import Ranks
from tests.gloo import on_ranks


def is_new_within(notice: Notice, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if notice.is_new():
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
    assert not notice.is_new()


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


def ranks_of_two_pods() -> dict[str, object]:
    """The second one's pod is given notice, and later the first one's. What each rank sees."""
    ranks = Ranks.current()
    (place,) = ranks.agree([tempfile.mkdtemp()] if ranks.index == 0 else [])
    folder = Path(place) / str(ranks.index)
    notice = Notice(folder, ranks)
    seen: dict[str, object] = {}
    with notice.awaits():
        ranks.wait()
        if ranks.index == 1:
            (folder / GIVEN).touch()
            seen["is_new"] = is_new_within(notice, 0.7)
            seen["busy before"] = len(busy(folder))
            ranks.wait()
            ranks.wait()
            seen["is_new again"] = is_new_within(notice, 0.7)
        else:
            ranks.wait()
            seen["is_new"] = is_new_within(notice, 2.0)
            notice.heed()
            seen["is_new again"] = is_new_within(notice, 0.7)
            ranks.wait()
        seen["busy after"] = len(busy(folder))
        ranks.wait()
        if ranks.index == 0:
            (folder / GIVEN).touch()
            seen["own"] = is_new_within(notice, 2.0)
            notice.heed()
            seen["busy at the end"] = len(busy(folder))
    return seen


@pytest.mark.multiprocess
def test_notice_to_any_rank_is_heeded_by_the_first() -> None:
    first, second = on_ranks(ranks_of_two_pods)
    assert second == {"is_new": False, "busy before": 1, "is_new again": False, "busy after": 0}
    assert first == {
        "is_new": True, "is_new again": False, "busy after": 1, "own": True, "busy at the end": 0,
    }  # fmt: skip
