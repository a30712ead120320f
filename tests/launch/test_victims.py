"""Processes of a run are told from each other by their names, and killed."""

import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pricon.launch.victims import (
    VICTIMS,
    WORDS,
    at_work,
    family_of,
    kill,
    lives,
    title_of,
    victims_of,
)

FAMILY = """
exec -a raylet sleep 60 &
exec -a 'ray::RayTrainWorker.run' sleep 60 &
exec -a 'ray::Mailbox' sleep 60 &
exec -a 'ray::DashboardAgent' sleep 60 &
wait
"""


@pytest.fixture
def submission() -> Iterator[psutil.Process]:
    process = psutil.Popen(["bash", "-c", FAMILY])
    until = time.monotonic() + 60
    while len({title_of(one) for one in family_of(process)}) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    family = family_of(process)
    yield process
    kill(family)
    process.wait()


def test_what_there_is_to_kill(submission: psutil.Process) -> None:
    there = victims_of(submission)
    assert there["driver"] == [submission]
    assert len(there["machine"]) == 5
    assert [title_of(one) for one in there["raylet"]] == ["raylet"]
    assert [title_of(one) for one in there["worker"]] == ["ray::RayTrainWorker"]
    assert there.keys() == {"driver", "machine", "mailbox", "raylet", "worker"}
    assert {*WORDS} == {*VICTIMS} > {*there}


def test_rays_own_counts_once_lanes_work(submission: psutil.Process) -> None:
    workers = victims_of(submission)["worker"]
    kill(workers)
    psutil.wait_procs(workers, timeout=10)
    assert victims_of(submission).keys() == {"driver", "machine", "mailbox"}


def test_an_agent_does_nothing(submission: psutil.Process) -> None:
    family = family_of(submission)
    assert len(at_work(family)) == len(family) - 1


def test_who_is_dead_and_not_buried_does_not_live(submission: psutil.Process) -> None:
    assert lives(submission)
    kill([submission])
    while submission.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert submission.is_running()
    assert not lives(submission)
    submission.wait()
    assert not lives(submission)


def test_what_is_gone_cannot_be_killed(submission: psutil.Process) -> None:
    victims = victims_of(submission)["machine"]
    assert kill(victims)
    psutil.wait_procs(victims, timeout=10)
    assert not kill(victims[1:])
    assert family_of(victims[1]) == []
    assert title_of(victims[1]) == ""


def test_a_title_is_without_what_is_done() -> None:
    assert title_of(psutil.Process()) == sys.executable.rpartition("/")[2].partition(".")[0]
