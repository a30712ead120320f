"""Workers killed while they start: the lane begins again, as often as it may, and holds nothing."""

import os
from contextlib import ExitStack
from typing import Any

import pytest
import ray
import torch
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError, RayTaskError
from ray.train import ControllerError
from ray.train.v2._internal.exceptions import (
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
)
from ray.train.v2.api.exceptions import WorkerGroupError

from pricon.launch.events import EpochDone, Event, LaneDone
from pricon.launch.starts import (
    has_waited_in_vain,
    lost_its_controller,
    may_start_again,
    want_of_memory,
)
from pricon.spec.job import JobSpec
from tests.launch.real_ray import IN_REAL_RAY, assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.train_workers import at_most, kill, killed_when, train_workers

pytestmark = IN_REAL_RAY

SET_UP = b"_set_torch_distributed_env_vars"
"""In the middle of a group's set-up."""
HANDED_OVER = b"run_train_fn"
"""The training function is read, with all that it imports."""


def in_task(cause: Exception) -> Exception:
    err: Any = RayTaskError
    told: Exception = err("set_up", "Traceback", cause).as_instanceof_cause()
    return told


def out_of_memory(said: str) -> Exception:
    err: Any = OutOfMemoryError
    told: Exception = err(said)
    return told


def never_made() -> Exception:
    """Of an actor whose making raised an error."""
    err: Any = ActorDiedError()
    err._actor_init_failed = True
    told: Exception = err
    return told


def through_ray(err: Exception) -> Exception:
    """As it arrives from another process."""
    pickled: Any = ray.cloudpickle
    arrived: Exception = pickled.loads(pickled.dumps(err))
    return arrived


@pytest.mark.parametrize(
    ("cause", "alone", "among_others"),
    [
        (ActorDiedError(), True, True),
        (out_of_memory("memory is low"), True, True),
        (WorkerGroupStartupFailedError("no worker"), True, True),
        (in_task(RuntimeError("Connection closed by peer")), False, True),
        (in_task(ConnectionResetError("peer")), False, True),
        (in_task(ImportError("no module")), False, False),
        (WorkerGroupStartupTimeoutError(2), False, False),
        (ValueError("a defect of the controller"), False, False),
    ],
)
def test_what_is_a_worker_lost_in_the_start(
    cause: Exception, alone: bool, among_others: bool
) -> None:
    err = through_ray(ControllerError(cause))
    assert may_start_again(err, 1) is alone
    assert may_start_again(err, 2) is among_others
    assert has_waited_in_vain(err) is isinstance(cause, WorkerGroupStartupTimeoutError)


@pytest.mark.parametrize(
    ("err", "is_lost"),
    [
        (ActorDiedError(), True),
        (out_of_memory("memory is low: 7.5GB used / 8.0GB"), True),
        (ActorUnavailableError("no answer", None), False),
        (in_task(ActorDiedError()), False),
        (never_made(), False),
        (ControllerError(ActorDiedError()), False),
    ],
)
def test_a_controller_is_lost_where_it_is_dead(err: Exception, is_lost: bool) -> None:
    arrived = through_ray(err)
    assert lost_its_controller(arrived) is is_lost
    assert may_start_again(arrived, 1) is (is_lost or isinstance(err, ControllerError))
    assert not has_waited_in_vain(arrived)


def test_a_controller_killed_for_want_of_memory_says_how_much_was_taken() -> None:
    assert want_of_memory(out_of_memory("7.5GB used / 8.0GB")) == "7.5GB of 8.0GB"


def test_a_worker_lost_in_training_is_ray_trains_to_count() -> None:
    err = WorkerGroupError("lost", {0: ActorDiedError()})
    assert not may_start_again(err, 1)
    assert not has_waited_in_vain(err)


LOW = "Memory on the node (IP: 10.0.0.1, ID: 5) was 2.95GB used / 3.00GB limit (0.983)\nOOM kill"


@pytest.mark.parametrize(
    ("err", "taken"),
    [
        (ControllerError(out_of_memory(LOW)), "2.95GB of 3.00GB"),
        (WorkerGroupError("lost", {1: out_of_memory(LOW)}), "2.95GB of 3.00GB"),
        (
            WorkerGroupError("lost", {0: WorkerHealthCheckFailedError("x", out_of_memory(LOW))}),
            "2.95GB of 3.00GB",
        ),
        (ControllerError(out_of_memory("in other words")), "almost all"),
        (ControllerError(ActorDiedError()), None),
        (WorkerGroupError("lost", {0: ValueError("a defect")}), None),
        (ValueError("a defect"), None),
    ],
)
def test_workers_that_were_killed_for_want_of_memory(err: Exception, taken: str | None) -> None:
    assert want_of_memory(err) == taken


@pytest.mark.ray
def test_a_lane_survives_the_death_of_workers_that_start(job: JobSpec) -> None:
    """It has the machine for itself: were one start's reservation kept, the next would wait."""
    cpus = os.cpu_count() or 1
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    lane = with_resources(job, "local", "lane", cpus_per_worker=cpus, max_failures=2)
    listener = Listener()
    with at_most(300), killed_when(HANDED_OVER, SET_UP) as met:
        report = rehearse(lane, listener)
    assert met == [HANDED_OVER, SET_UP]
    ended = [event for event in listener.events if isinstance(event, LaneDone)]
    assert [event.error for event in ended] == [None]
    assert report.complete
    assert_same_predictions(alone, lane)


class KillingTwice(Listener):
    """Kills the workers of a lane in training, and their successors in their start."""

    def __init__(self, then: ExitStack) -> None:
        super().__init__()
        self.then = then
        self.met: list[bytes] | None = None

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and self.met is None:
            kill(train_workers())
            self.met = self.then.enter_context(killed_when(SET_UP))


def without_end(job: JobSpec) -> JobSpec:
    """The job, whose first teachers train until somebody kills them."""
    optimisation = job.optimisation.model_dump()
    optimisation["contrastive"] |= {"epochs": 100_000, "patience": 100_000}
    return JobSpec.model_validate({**job.model_dump(), "optimisation": optimisation})


@pytest.mark.ray
def test_losses_count_over_all_of_a_lane(job: JobSpec) -> None:
    """One in training and one in the start after it are two, and one is allowed."""
    lane = without_end(with_resources(job, "local", "lane", max_failures=1))
    with at_most(300), ExitStack() as then:
        listener = KillingTwice(then)
        rehearse(lane, listener)
    assert listener.met == [SET_UP]
    [done] = [event for event in listener.events if isinstance(event, LaneDone)]
    assert done.lost
    assert "its workers were lost: ControllerError" in str(done.error)
    assert not train_workers()


@pytest.mark.ray
@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has a use for GPUs")
def test_gpus_that_torch_cannot_use_end_a_lane_at_once(
    job: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image for CPUs on a pool of GPUs: no loss of a worker, and another start is in vain."""
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 1}')
    listener = Listener()
    with at_most(300):
        rehearse(with_resources(job, "local", "lane"), listener)
    [done] = [event for event in listener.events if isinstance(event, LaneDone)]
    assert not done.lost
    said = f"workers were given GPUs, and their torch {torch.__version__} is built without CUDA"
    assert str(done.error).startswith(f"{said}\n\nhint: give them an image of variant `cuda`")
