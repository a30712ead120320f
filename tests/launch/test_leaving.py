"""The command that Kubernetes runs in a container of workers before it stops it."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from pricon.launch.leaving import COMMAND, FOLDER, leaving_folder
from pricon.train.notice import GIVEN, Notice


def give_notice(folder: Path) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], FOLDER: str(folder)}
    return subprocess.Popen(["sh", "-c", COMMAND], env=environment)


def test_it_waits_for_what_trains(tmp_path: Path) -> None:
    notice = Notice(tmp_path / "leaving")
    with notice.awaits(), give_notice(tmp_path / "leaving") as command:
        try:
            while not notice.is_new():
                time.sleep(0.05)
            time.sleep(0.5)
            assert command.poll() is None
            notice.heed()
            assert command.wait(timeout=5) == 0
        finally:
            command.kill()


def test_it_waits_for_nobody_where_nothing_trains(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    (tmp_path / f"{dead.pid}.busy").touch()
    begun = time.monotonic()
    with give_notice(tmp_path) as command:
        assert command.wait(timeout=10) == 0
    assert time.monotonic() - begun < 5
    assert (tmp_path / GIVEN).exists()


def test_a_full_or_strange_pod_is_stopped_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with give_notice(tmp_path / "file" / "leaving") as command:
        assert command.wait(timeout=10) == 0


def test_processes_outside_of_a_pod_hear_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert leaving_folder() is None
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert leaving_folder() == tmp_path
