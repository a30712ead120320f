"""Processes of a run are told from each other by their names, and killed."""

import time
from collections.abc import Iterator

import psutil
import pytest

from pricon.launch.processes import family_of, kill, title_of
from pricon.launch.victims import VICTIMS, WORDS, at_work, victims_of

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
