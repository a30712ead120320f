"""Real Ray: lanes at once, DDP ranks, a killed worker. Results are those of one process."""

import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pricon.launch.events import EpochDone, Event, LaneDone, StagesDone
from pricon.spec.job import JobSpec
from pricon.spec.resources import ResourcesSpec
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.test_driver import predictions

pytestmark = pytest.mark.filterwarnings(
    # Ray leaves sockets and files of its own to the garbage collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
)


@pytest.fixture(autouse=True)
def _its_own_litter(ray_alone: None) -> Iterator[None]:
    """What Ray leaves is collected here, not in whichever test comes next."""
    yield
    gc.collect()


def with_resources(job: JobSpec, target: str, output: str, **resources: float) -> JobSpec:
    return job.model_copy(
        update={
            "resources": ResourcesSpec.model_validate(resources),
            "target": target,
            "output": str(Path(job.output).parent / output),
        }
    )


def assert_same_predictions(one: JobSpec, other: JobSpec) -> None:
    for mine, theirs in zip(predictions(one), predictions(other), strict=True):
        assert (mine["trial_id"], mine["window"]) == (theirs["trial_id"], theirs["window"])
        assert np.isclose(mine["probability_high"], theirs["probability_high"], atol=1e-4)


class Killer(Listener):
    """Kills every worker of Ray Train once, in the middle of the first pack that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and not self.killed:
            self.killed = train_workers()
            for pid in self.killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def train_workers() -> list[int]:
    """Workers of the Ray that this process has started; other tests may have one of their own."""
    return [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if b"RayTrainWorker" in read(pid, "cmdline") and os.getpid() in ancestors(pid)
    ]


def ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        status = read(pid, "stat").rpartition(b")")[2].split()
        pid = int(status[1]) if status else 0
        yield pid


def read(pid: int, name: str) -> bytes:
    """A file of a process, empty where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


@pytest.mark.ray
def test_lanes_at_once_survive_the_death_of_their_workers(job: JobSpec) -> None:
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    # More retries than the default: with that, a lane gave up now and then on a busy machine.
    lanes = with_resources(
        job, "local", "lanes", lanes=2, checkpoint_interval_s=0.001, max_failures=10
    )
    killer = Killer()
    report = rehearse(lanes, killer)
    assert killer.killed
    ended = [event for event in killer.events if isinstance(event, LaneDone)]
    assert sorted(event.lane for event in ended) == [0, 1]
    assert [event.error for event in ended] == [None, None]
    assert report.complete
    assert_same_predictions(alone, lanes)
    assert not train_workers(), "Ray stops with the run"


@pytest.mark.ray
def test_two_ranks_a_lane_give_the_results_of_one(job: JobSpec) -> None:
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    ranks = with_resources(job, "local", "ranks", workers_per_lane=2, cpus_per_worker=0.5)
    listener = Listener()
    report = rehearse(ranks, listener)
    assert report.complete
    assert_same_predictions(alone, ranks)
    done = [e.committed for e in listener.events if isinstance(e, StagesDone)]
    assert len({stage for stages in done for stage in stages}) == sum(map(len, done)), (
        "only one rank may speak"
    )
