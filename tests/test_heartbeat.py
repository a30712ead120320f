"""A hang is noticed, and nothing else is."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pricon.heartbeat import beat, waits_for_others, watched
from pricon.storage import open_storage


def test_a_hang_is_told_once() -> None:
    places: list[str] = []
    is_told = threading.Event()

    def hung(place: str) -> None:
        places.append(place)
        is_told.set()

    with watched(0.2, hung):
        assert is_told.wait(10)
        time.sleep(0.4)
    assert len(places) == 1


def test_who_waits_for_others_is_told_after_them() -> None:
    told_at: list[float] = []
    is_told = threading.Event()

    def hung(_: str) -> None:
        told_at.append(time.monotonic())
        is_told.set()

    begun = time.monotonic()
    with waits_for_others(), watched(0.8, hung):
        assert is_told.wait(10)
    assert told_at[0] - begun >= 1.0, "a quarter later"


def test_who_is_served_at_last_begins_anew() -> None:
    """However long others took, the work that follows has its whole time."""
    places: list[str] = []
    with watched(1.0, places.append):
        with waits_for_others():
            time.sleep(1.15)
        time.sleep(0.6)
    assert places == []


def test_the_place_is_the_innermost_of_our_own_code(tmp_path: Path) -> None:
    disk = tmp_path / "feature"
    os.mkfifo(disk)  # who opens it waits for a writer
    places: list[str] = []

    def hung(place: str) -> None:
        places.append(place)
        disk.write_bytes(b"late")

    with watched(0.2, hung):
        assert open_storage(str(tmp_path)).read("feature") == b"late"
    (place,) = places
    assert re.fullmatch(r"`read` \(pricon/stores/folder\.py:\d+\)", place)


def test_whoever_beats_has_not_hung() -> None:
    places: list[str] = []
    with watched(1.0, places.append):
        for _ in range(30):
            beat()
            time.sleep(0.05)
    assert places == []


FROZEN = """
import time
from pricon.heartbeat import beat, watched
places = []
with watched(1.0, places.append):
    print("begun", flush=True)
    for _ in range(100):
        beat()
        time.sleep(0.02)
print(places)
"""


def test_a_process_that_was_frozen_has_not_hung() -> None:
    """As a paused container is, or a laptop that slept."""
    with subprocess.Popen([sys.executable, "-c", FROZEN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == b"[]\n"


@pytest.mark.parametrize("limit_s", [None, 0.1])
def test_nobody_looks_without_a_limit_or_after_the_end(limit_s: float | None) -> None:
    places: list[str] = []
    with watched(limit_s, places.append):
        pass
    time.sleep(0.3)
    assert places == []
    assert not [one for one in threading.enumerate() if one.name == "heartbeat"]


def test_an_error_of_what_is_watched_passes() -> None:
    with pytest.raises(KeyError), watched(10, print):
        raise KeyError("width")
