"""A lane goes on when its controller dies, holds nothing then, and ends after too many losses."""

import os
import threading
import time

import pytest
import ray
from ray.util.placement_group import PlacementGroup, placement_group

from pricon.launch.events import EpochDone, Event, LaneDone, LaneRestarted
from pricon.spec.job import JobSpec
from tests.launch.real_ray import IN_REAL_RAY, assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.train_workers import actors, at_most, kill, train_workers
from tests.tiny import QUICK

pytestmark = IN_REAL_RAY

LONG = {"learning_rate": 1e-3, "epochs": 4000, "patience": 4000}
ALL_CORES = float(os.cpu_count() or 1)
"""So that what a dead controller has reserved is in the way."""


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


def longer(job: JobSpec) -> JobSpec:
    """The job with a single arm that does not end before it is disturbed."""
    optimisation = job.optimisation.model_validate({**QUICK, "supervised": LONG})
    return job.model_copy(update={"optimisation": optimisation, "arms": ("e2e",)})


@pytest.mark.ray
def test_a_lane_survives_the_death_of_its_controller(job: JobSpec) -> None:
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    lane = with_resources(job, "local", "lane", max_failures=1, cpus_per_worker=ALL_CORES)
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
    report = rehearse(with_resources(longer(job), "local", "lane", max_failures=0), killer)
    assert not report.complete
    (ended,) = [event for event in killer.events if isinstance(event, LaneDone)]
    assert ended.lost
    assert ended.error is not None
    assert ended.error.startswith("its controller was lost: ActorDiedError: ")


@pytest.mark.ray
def test_a_lane_survives_a_controller_that_dies_while_its_workers_start(job: JobSpec) -> None:
    """Nobody knows yet what it has reserved."""
    killed: list[int] = []

    def watch() -> None:
        while not train_workers():
            time.sleep(0.001)
        killed.extend(actors(b"ray::TrainController"))
        kill(killed)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    listener = Listener()
    lane = with_resources(job, "local", "lane", max_failures=1, cpus_per_worker=ALL_CORES)
    with at_most(200):
        assert rehearse(lane, listener).complete
    assert len(killed) == 1
    assert [event.lane for event in listener.events if isinstance(event, LaneRestarted)] == [0]


class Occupier(ControllerKiller):
    """Takes all there is as soon as the lane has given it back."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: PlacementGroup | None = None

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, LaneRestarted) and self.taken is None:
            self.taken = placement_group([{"CPU": ALL_CORES}])
            ray.get(self.taken.ready(), timeout=60)


@pytest.mark.ray
def test_a_lane_that_lost_its_controller_does_not_wait_in_vain_for_ever(
    job: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "3")
    occupier = Occupier()
    lane = with_resources(longer(job), "local", "lane", max_failures=2, cpus_per_worker=ALL_CORES)
    with at_most(200):
        report = rehearse(lane, occupier)
    assert occupier.taken is not None
    assert not report.complete
    (ended,) = [event for event in occupier.events if isinstance(event, LaneDone)]
    assert ended.lost
    assert ended.error == (
        "its workers found no room, perhaps for what a controller that was lost had reserved"
    )
