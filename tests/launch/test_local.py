"""Real Ray: lanes at once, DDP ranks, a killed worker. Results are those of one process."""

import subprocess
import sys

import pytest

from pricon.errors import LaunchError
from pricon.launch.events import EpochDone, Event, LaneDone, StagesDone
from pricon.spec.job import JobSpec
from tests.launch.real_ray import IN_REAL_RAY, assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.train_workers import actors, kill, train_workers

pytestmark = IN_REAL_RAY


class Killer(Listener):
    """Kills every worker of Ray Train once, in the middle of the first pack that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and not self.killed:
            self.killed = train_workers()
            kill(self.killed)


@pytest.mark.ray
def test_lanes_at_once_survive_the_death_of_their_workers(job: JobSpec) -> None:
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    lanes = with_resources(job, "local", "lanes", lanes=2, checkpoint_interval_s=0.001)
    killer = Killer()
    report = rehearse(lanes, killer)
    assert killer.killed
    ended = [event for event in killer.events if isinstance(event, LaneDone)]
    assert sorted(event.lane for event in ended) == [0, 1]
    assert [event.error for event in ended] == [None, None]
    assert report.complete
    assert_same_predictions(alone, lanes)
    assert not train_workers(), "Ray stops with the run"


WITHOUT_DAEMON = """
import os, sys, threading, time
import psutil, ray
from pricon.errors import LaunchError
from pricon.launch.local import OwnRay
from pricon.launch.mailbox import answer_of

@ray.remote
class Silent:
    def greet(self):
        return "hello"
    def take(self):
        time.sleep(600)

own = OwnRay()
own.start()
silent = Silent.remote()
print(answer_of(silent.greet, check=own.check))
(daemon,) = [one for one in psutil.Process().children() if one.name() == sys.argv[1]]
threading.Timer(1.5, daemon.kill).start()
try:
    answer_of(silent.take, check=own.check)
except LaunchError as err:
    print(own.is_whole, err.exit_code, err.message, sep="|", flush=True)
os._exit(0)
"""


@pytest.mark.ray
@pytest.mark.parametrize("daemon", ["raylet", "gcs_server"])
def test_a_daemon_of_ray_that_is_gone_is_told_before_ray_ends_the_driver(daemon: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DAEMON, daemon], capture_output=True, text=True, check=True
    )
    said = f"False|3|Ray's `{daemon}` has ended beside the driver, and all of Ray with it"
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("hello", said)


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


class Deafening(Listener):
    """Kills what the driver hears its lanes by, in the middle of the first pack that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and not self.killed:
            self.killed = actors(b"ray::Mailbox")
            kill(self.killed)


@pytest.mark.ray
def test_a_run_whose_mailbox_is_gone_ends_and_may_be_tried_again(job: JobSpec) -> None:
    lane = with_resources(job, "local", "lane")
    killer = Deafening()
    with pytest.raises(LaunchError, match="Ray failed beside the driver: ActorDiedError") as caught:
        rehearse(lane, killer)
    assert len(killer.killed) == 1
    assert caught.value.exit_code == 3
    assert not train_workers(), "Ray stops with the run"
    assert rehearse(lane).complete
