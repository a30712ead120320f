"""Real Ray: lanes at once, DDP ranks, a killed worker. Results are those of one process."""

import os
import subprocess
import sys

import pytest

from pricon.errors import LaunchError
from pricon.launch.events import EpochDone, Event, LaneDone, LaneRestarted, StagesDone
from pricon.spec.job import JobSpec
from tests.launch.real_ray import IN_REAL_RAY, assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.train_workers import actors, at_most, kill, train_workers
from tests.tiny import QUICK

pytestmark = IN_REAL_RAY

LONG = {"learning_rate": 1e-3, "epochs": 4000, "patience": 4000}


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


class ControllerKiller(Listener):
    """Kills the controller of a lane, in the middle of the first pack that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and not self.killed:
            self.killed = actors(b"ray::TrainController")
            kill(self.killed)


@pytest.mark.ray
def test_a_lane_survives_the_death_of_its_controller(job: JobSpec) -> None:
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    all_cores = float(os.cpu_count() or 1)  # so that what the dead one has reserved is in the way
    lane = with_resources(job, "local", "lane", max_failures=1, cpus_per_worker=all_cores)
    killer = ControllerKiller()
    with at_most(200):
        assert rehearse(lane, killer).complete
    assert len(killer.killed) == 1
    restarts = [event for event in killer.events if isinstance(event, LaneRestarted)]
    assert [event.lane for event in restarts] == [0]
    assert_same_predictions(alone, lane)
    assert not train_workers(), "Ray stops with the run"


@pytest.mark.ray
def test_the_loss_of_a_controller_that_may_not_be_lost_ends_its_lane(job: JobSpec) -> None:
    killer = ControllerKiller()
    optimisation = job.optimisation.model_validate({**QUICK, "supervised": LONG})
    longer = job.model_copy(update={"optimisation": optimisation, "arms": ("e2e",)})
    report = rehearse(with_resources(longer, "local", "lane", max_failures=0), killer)
    assert not report.complete
    (ended,) = [event for event in killer.events if isinstance(event, LaneDone)]
    assert ended.lost
    assert ended.error is not None
    assert ended.error.startswith("its controller was lost: ActorDiedError: ")


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
