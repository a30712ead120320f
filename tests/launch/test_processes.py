"""Processes that belong together, what they call themselves, and their end."""

import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pricon.launch.processes import family_of, kill, lives, title_of


@pytest.fixture
def parent() -> Iterator[psutil.Popen]:
    process = psutil.Popen(["bash", "-c", "exec -a 'ray::RayTrainWorker.run' sleep 60 & wait"])
    until = time.monotonic() + 60
    while len({title_of(one) for one in family_of(process)}) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    family = family_of(process)
    yield process
    kill(family)
    process.wait()


def test_a_family_and_its_titles(parent: psutil.Popen) -> None:
    assert [title_of(one) for one in family_of(parent)] == ["bash", "ray::RayTrainWorker"]


def test_who_is_dead_and_not_buried_does_not_live(parent: psutil.Popen) -> None:
    assert lives(parent)
    kill([parent])
    while parent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert parent.is_running()
    assert not lives(parent)
    parent.wait()
    assert not lives(parent)


def test_what_is_gone_cannot_be_killed(parent: psutil.Popen) -> None:
    victims = family_of(parent)
    assert kill(victims)
    psutil.wait_procs(victims, timeout=10)
    assert not kill(victims[1:])
    assert family_of(victims[1]) == []
    assert title_of(victims[1]) == ""


def test_a_title_is_without_what_is_done() -> None:
    assert title_of(psutil.Process()) == sys.executable.rpartition("/")[2].partition(".")[0]
