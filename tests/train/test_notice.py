"""Notice that a process will be stopped."""

import os
import time
from pathlib import Path

from pricon.train.notice import BUSY, GIVEN, Notice


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
        notice.heed()
        assert busy(folder) == []
    (folder / GIVEN).touch()
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
