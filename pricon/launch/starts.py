"""Worker groups that fail outside of training: whether to try again, and what they leave behind.

Ray Train (2.60) applies `max_failures` to workers that die in training only. Of those that die
before, it replaces some without end (the group was being set up) and gives the run up for others
at once (they were being handed the training function, some tenths of a second later). So a start
that fails ends Ray's run, and the lane decides, in `ray_lanes`. So does the death of a controller,
which nobody else replaces.
"""

import re
from typing import Any

import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import (
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
)
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.train.v2._internal.execution.failure_handling.failure_policy import FailureDecision
from ray.util.placement_group import (
    PlacementGroup,
    get_current_placement_group,
    remove_placement_group,
)

from pricon.errors import LaunchError

_TAKEN = re.compile(r"([\d.]+GB) used / ([\d.]+GB)")


def has_waited_in_vain(err: Exception) -> bool:
    """Whether the workers found no place in time: nobody's failure, they may wait again."""
    return isinstance(_of_controller(err), WorkerGroupStartupTimeoutError)


def may_start_again(err: Exception, num_workers: int) -> bool:
    """Whether the controller died, or a worker while its group started: another may do better.

    Args:
        err: what `fit` of Ray Train raised.
        num_workers: of the lane.
    """
    if lost_its_controller(err):
        return True
    cause = _of_controller(err)
    if isinstance(cause, RayTaskError):
        # Of a lost rank another may hear first: torch calls that, like much else, a RuntimeError.
        return num_workers > 1 and isinstance(cause.cause, (RuntimeError, OSError))
    return isinstance(cause, (RayActorError, OutOfMemoryError, WorkerGroupStartupFailedError))


def lost_its_controller(err: Exception) -> bool:
    """Whether a controller died, and its workers with it.

    One that is out of reach may live, and what its own code raises is a defect, in its making too.

    Args:
        err: what `fit` of Ray Train raised.
    """
    is_dead = isinstance(err, (ActorDiedError, OutOfMemoryError))
    is_defect = isinstance(err, RayTaskError) or getattr(err, "actor_init_failed", False)
    return is_dead and not is_defect


def want_of_memory(err: Exception) -> str | None:
    """What was taken of the memory of a node, where Ray killed workers for want of it; else None.

    Args:
        err: what `fit` of Ray Train raised.
    """
    failures = err.worker_failures.values() if isinstance(err, WorkerGroupError) else ()
    for failure in (err, _of_controller(err), *failures):
        cause = getattr(failure, "health_check_failure", failure)
        if isinstance(cause, OutOfMemoryError):
            taken = _TAKEN.search(str(cause))
            return f"{taken[1]} of {taken[2]}" if taken else "almost all"
    return None


def _of_controller(err: Exception) -> Exception | None:
    return err.controller_failure if isinstance(err, ControllerError) else None


def callbacks_of(mailbox: Any, lane: int) -> list[Any]:
    """What Ray Train has to call for a lane; Ray says of its first version what callbacks are."""
    # What is reserved is known as early as can be: the next one imports torch in every worker.
    return [GivenBack(mailbox, lane), GpusUsable(mailbox, lane), LossesTold(mailbox, lane)]


class _OfLane:
    """Something that Ray Train calls for a lane.

    Args:
        mailbox: the driver's.
        lane: index of the lane.
    """

    def __init__(self, mailbox: Any, lane: int) -> None:
        self.mailbox = mailbox
        self.lane = lane


class GpusUsable(_OfLane, WorkerGroupCallback):
    """Ends a lane whose workers were given a GPU that their torch is not built for.

    That is an image for CPUs on a pool of GPUs. Ray would let NCCL fail, which reads like a worker
    that was lost, and the next start would be as vain.
    """

    def before_init_train_context(self, workers: list[Any]) -> dict[str, list[Any]]:
        """The workers are there, and not connected yet."""
        found = ray.get([worker.execute_async(_torch_without_cuda) for worker in workers])
        builds = {build for build in found if build is not None}
        if builds:
            error = LaunchError(
                f"workers were given GPUs, and their torch {', '.join(sorted(builds))} is built "
                "without CUDA",
                "give them an image of variant `cuda` (or a torch with CUDA), or train on CPUs: "
                "`resources.gpus_per_worker: 0`",
            )
            ray.get(self.mailbox.fail.remote(self.lane, str(error)))
            raise error
        return {}


def _torch_without_cuda() -> str | None:
    """In a worker: the version of its torch, if that has no use for what Ray has given to it."""
    import torch

    # Not `is_available`, which fixes the GPUs that a process sees before Ray Train has set them.
    has_cuda: bool = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]  # torch has no types here
    return torch.__version__ if ray.get_gpu_ids() and not has_cuda else None


class LossesTold(_OfLane, ControllerCallback):
    """Tells the mailbox of losses in training: those before a start that fails count as well."""

    def before_controller_execute_failure_decision(self, failure_decision: Any) -> None:
        """Starts that fail are never tried again by Ray; see `failure_config` of the lane."""
        if failure_decision is FailureDecision.RETRY:
            ray.get(self.mailbox.lose.remote(self.lane))


class GivenBack(_OfLane, WorkerGroupCallback, ControllerCallback):
    """Gives back what the workers of a start that failed had reserved.

    When a group fails after its workers are initialised and before they train, Ray Train (2.60)
    forgets it, and what it reserved outlives even the controller. The lane's next group would wait
    until another lane ends; for ever, where the lane has the machine for itself. What a controller
    that dies has reserved is given back by the driver, which the mailbox tells of it.
    """

    def __init__(self, mailbox: Any, lane: int) -> None:
        super().__init__(mailbox, lane)
        self.reserved: PlacementGroup | None = None

    def before_init_train_context(self, workers: list[Any]) -> dict[str, list[Any]]:
        """The workers are there: what they have reserved, which only they can tell."""
        self.reserved = ray.get(workers[0].execute_async(get_current_placement_group))
        ray.get(self.mailbox.reserve.remote(self.lane, self.reserved))
        return {}

    def after_worker_group_training_start(self, worker_group: Any) -> None:
        """From here on Ray gives back by itself."""
        self.reserved = None

    def before_controller_execute_failure_decision(self, failure_decision: Any) -> None:
        """Something failed: in a start, if something is still reserved."""
        if self.reserved is not None:
            remove_placement_group(self.reserved)
            self.reserved = None
