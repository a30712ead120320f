"""Lanes as concurrent Ray Train runs.

One worker group a lane, however many trials the lane holds: starting a group costs ten seconds and
more, training an affect model often less. Ray Train's own checkpoints are not used; what counts is
in storage under our commit records, because a returned `report` does not mean a durable checkpoint.
"""

import math
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.core.generated.common_pb2 import NodeDeathInfo  # type: ignore[attr-defined]
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pricon.errors import LaunchError, PriconError, StorageError
from pricon.launch.events import LaneDone, Listen
from pricon.launch.lanes import Assignment
from pricon.launch.mailbox import POLL_S, Mailbox, Teller
from pricon.launch.worker import run_lane
from pricon.spec.resources import ResourcesSpec
from pricon.train.ranks import Ranks

_TAKEN_AWAY = (
    NodeDeathInfo.UNEXPECTED_TERMINATION,
    NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED,
)
_NODE_DEATH_S = 30.0
"""So long Ray takes at most to call a silent node dead."""

Machine = Mapping[str, float]
"""Ray's name of a resource -> how much of it there is."""

Connect = Callable[[], AbstractContextManager[Machine | None]]
"""Leads to a Ray and away from it again. Null: it grows as lanes ask for workers."""


class RayLanes:
    """See `Lanes`."""

    def __init__(self, resources: ResourcesSpec, connect: Connect) -> None:
        self.resources = resources
        self.connect = connect

    def run(self, lanes: Sequence[Assignment], listen: Listen) -> None:
        """See `Lanes`.

        Raises:
            LaunchError: there is no Ray, or one lane needs more than it has.
        """
        with self.connect() as machine, tempfile.TemporaryDirectory(prefix="pricon-ray-") as folder:
            share = _Share.of(self.resources, len(lanes), machine)
            here = NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            actor: Any = ray.remote(Mailbox)
            mailbox = actor.options(num_cpus=0, scheduling_strategy=here).remote()
            slots = threading.Semaphore(share.at_once)
            futures: dict[Future[None], Assignment] = {}
            for assignment in lanes:
                future: Future[None] = Future()
                futures[future] = assignment
                # Daemons: a `fit` that never hears of Ray's end must not keep this process alive.
                work = _Work(assignment=assignment, share=share, mailbox=mailbox, folder=folder)
                args = (future, slots, work)
                threading.Thread(target=_settle, args=args, daemon=True).start()
            _relay(futures, mailbox, listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What a lane gets: lanes at once, and GPUs of a worker."""

    at_once: int
    gpus: float

    @staticmethod
    def of(resources: ResourcesSpec, num_lanes: int, machine: Machine | None) -> "_Share":
        if machine is None:
            at_once = min(resources.lanes_at_once or num_lanes, num_lanes)
            return _Share(at_once=max(1, at_once), gpus=resources.gpus_per_worker or 0.0)
        gpus = gpus_of_worker(resources, num_lanes, machine)
        fixed = resources.model_copy(update={"gpus_per_worker": gpus})
        return _Share(at_once=lanes_that_fit(fixed, num_lanes, machine), gpus=gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A lane's work, and where it is done."""

    assignment: Assignment
    share: _Share
    mailbox: Any
    folder: str


def gpus_of_worker(resources: ResourcesSpec, num_lanes: int, machine: Machine) -> float:
    """GPUs of a worker: as asked, else one where there are enough for all lanes, else a share."""
    if resources.gpus_per_worker is not None:
        return resources.gpus_per_worker
    has = math.floor(machine.get("GPU", 0.0))
    lanes = min(resources.lanes_at_once or num_lanes, num_lanes)
    workers = max(1, lanes * resources.workers_per_lane)
    return 0.0 if has == 0 else 1.0 / math.ceil(workers / has)


def lanes_that_fit(resources: ResourcesSpec, num_lanes: int, machine: Machine) -> int:
    """How many lanes may run at once: as asked, but no more than `machine` has CPUs and GPUs for.

    Raises:
        LaunchError: not even one lane fits.
    """
    limit = resources.lanes_at_once or num_lanes
    for noun, key, wants in (
        ("CPU", "cpus_per_worker", resources.cpus_per_worker),
        ("GPU", "gpus_per_worker", resources.gpus_per_worker or 0.0),
    ):
        has = machine.get(noun, 0.0)
        lane = wants * resources.workers_per_lane
        if lane > has:
            raise LaunchError(
                f"one lane needs {lane:g} {noun}s ({resources.workers_per_lane} workers of "
                f"{wants:g}), but there are {has:g}",
                f"lower `resources.workers_per_lane` or `resources.{key}`",
            )
        if lane > 0:
            limit = min(limit, math.floor(has / lane))
    return max(1, min(limit, num_lanes))


def _relay(futures: dict[Future[None], Assignment], mailbox: Any, listen: Listen) -> None:
    """Pass on what workers say until every lane has ended."""
    waiting = dict(futures)
    while waiting:
        time.sleep(POLL_S)
        ended = [future for future in waiting if future.done()]
        for event in ray.get(mailbox.take.remote()):
            listen(event)
        for future in ended:
            assignment = waiting.pop(future)
            error = ray.get(mailbox.error_of.remote(assignment.lane))
            lost = _lost(future) if error is None else None
            done = LaneDone(lane=assignment.lane, error=error or lost, lost=lost is not None)
            listen(done)


def _lost(future: Future[None]) -> str | None:
    """Why a lane ended without saying so itself: it lost workers more often than allowed."""
    err = future.exception()
    if err is None:
        return None
    first = str(err).strip().splitlines() or [""]
    return f"its workers were lost: {type(err).__name__}: {first[-1][:300]}"


def _settle(future: Future[None], slots: threading.Semaphore, work: _Work) -> None:
    """Wait for a slot, run the lane, and leave what became of it in `future`."""
    with slots:
        try:
            _fit_through_lost_nodes(work)
        except Exception as err:  # whatever Ray raises is this lane's end, not the driver's
            future.set_exception(err)
        else:
            future.set_result(None)


def _fit_through_lost_nodes(work: _Work) -> None:
    """Begin again as long as nodes are lost and the lane gets further between two losses.

    Preemption is nobody's failure, and costs no retry. A worker that takes its node with it at
    every start, for want of memory, gets no further.
    """
    lane = work.assignment.lane
    before = ray.get(work.mailbox.distance_of.remote(lane))
    while True:
        lost = _lost_nodes()
        try:
            return _fit(work)
        except Exception:
            now = ray.get(work.mailbox.distance_of.remote(lane))
            if now <= before or not _has_lost_more_than(lost):
                raise
            before = now


def _has_lost_more_than(known: set[str]) -> bool:
    """Whether a node was lost; Ray hears of that later than of the loss of its workers."""
    until = time.monotonic() + _NODE_DEATH_S
    while time.monotonic() < until:
        if _lost_nodes() - known:
            return True
        time.sleep(POLL_S)
    return False


def _lost_nodes() -> set[str]:
    """Nodes that were taken away or died; not those that an autoscaler gave back."""
    return {
        node["NodeID"]
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if not node["Alive"] and node["DeathReason"] in _TAKEN_AWAY
    }


def _fit(work: _Work) -> None:
    """One Ray Train run. Its name is new each time: Ray takes a known one for finished work."""
    assignment = work.assignment
    resources = assignment.job.resources
    workers: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if work.share.gpus:
        workers["GPU"] = work.share.gpus
    TorchTrainer(
        _train,
        train_loop_config={"assignment": assignment, "mailbox": work.mailbox},
        scaling_config=ScalingConfig(
            num_workers=resources.workers_per_lane,
            use_gpu=work.share.gpus > 0,
            resources_per_worker=workers,
        ),
        run_config=RunConfig(
            name=f"{assignment.plan.run_id}-{assignment.lane}-{uuid.uuid4().hex[:8]}",
            storage_path=work.folder,
            failure_config=FailureConfig(max_failures=resources.max_failures),
        ),
    ).fit()


def _train(config: dict[str, Any]) -> None:
    """Ray Train's function: runs in every worker of a lane, and again in each of its attempts."""
    assignment: Assignment = config["assignment"]
    mailbox = config["mailbox"]
    if ray.get(mailbox.error_of.remote(assignment.lane)) is not None:
        return
    torch.set_num_threads(max(1, int(assignment.job.resources.cpus_per_worker)))
    ranks = Ranks.current()
    teller = Teller(mailbox, is_silent=ranks.index > 0)
    try:
        run_lane(assignment, ranks, get_device(), teller.tell)
    except Exception as err:
        if _may_pass(err, ranks):
            raise
        # The same input gives the same error, so another attempt would be in vain. Other ranks may
        # wait for this one in a collective: only leaving with an error lets Ray end them.
        ray.get(mailbox.fail.remote(assignment.lane, _said(err)))
        if ranks.size > 1:
            raise
    teller.flush()


def _may_pass(err: Exception, ranks: Ranks) -> bool:
    """Whether another attempt may do better: the store was away, or another rank was lost."""
    if isinstance(err, PriconError):
        return isinstance(err, StorageError)
    # torch says of a lost rank, as of much else, that it is a RuntimeError.
    return isinstance(err, OSError) or (ranks.size > 1 and isinstance(err, RuntimeError))


def _said(err: Exception) -> str:
    return str(err) if isinstance(err, PriconError) else f"{type(err).__name__}: {err}"
