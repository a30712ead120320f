"""Lanes as concurrent Ray Train runs on a Ray that starts on this machine and stops with us.

One worker group a lane, however many trials the lane holds: starting a group costs ten seconds and
more, training an affect model often less. Ray Train's own checkpoints are not used; what counts is
in storage under our commit records, because a returned `report` does not mean a durable checkpoint.
"""

import logging
import math
import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device

from pricon.errors import LaunchError, PriconError, StorageError
from pricon.launch.events import EpochDone, Event, LaneDone, Listen
from pricon.launch.lanes import Assignment
from pricon.launch.worker import run_lane
from pricon.spec.resources import ResourcesSpec
from pricon.train.ranks import Ranks

_POLL_S = 0.2
_OBJECT_STORE_BYTES = 100 * 2**20
"""Ray's shared memory. Plans and events are small; the corpus never travels through it."""

_ENVIRONMENT = {
    # The controller looks at its workers this often; its default of 2 s is added to every start.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A lane that waits for a busy machine is not a failed lane.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class LocalLanes:
    """See `Lanes`."""

    def __init__(self, resources: ResourcesSpec) -> None:
        self.resources = resources

    def run(self, lanes: Sequence[Assignment], listen: Listen) -> None:
        """See `Lanes`.

        Raises:
            LaunchError: Ray does not start, or one lane needs more than this machine has.
        """
        with _ray(), tempfile.TemporaryDirectory(prefix="pricon-ray-") as folder:
            at_once = lanes_that_fit(self.resources, len(lanes), ray.cluster_resources())  # type: ignore[no-untyped-call]
            mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
            slots = threading.Semaphore(at_once)
            futures: dict[Future[None], Assignment] = {}
            for assignment in lanes:
                future: Future[None] = Future()
                futures[future] = assignment
                # Daemons: a `fit` that never hears of Ray's end must not keep this process alive.
                work = (future, slots, assignment, mailbox, folder)
                threading.Thread(target=_settle, args=work, daemon=True).start()
            _relay(futures, mailbox, listen)


def lanes_that_fit(resources: ResourcesSpec, num_lanes: int, machine: Mapping[str, float]) -> int:
    """How many lanes may run at once: as asked, but no more than `machine` has CPUs and GPUs for.

    Raises:
        LaunchError: not even one lane fits.
    """
    limit = resources.lanes_at_once or num_lanes
    for noun, key, wants in (
        ("CPU", "cpus_per_worker", resources.cpus_per_worker),
        ("GPU", "gpus_per_worker", resources.gpus_per_worker),
    ):
        has = machine.get(noun, 0.0)
        lane = wants * resources.workers_per_lane
        if lane > has:
            raise LaunchError(
                f"one lane needs {lane:g} {noun}s ({resources.workers_per_lane} workers of "
                f"{wants:g}), but this machine has {has:g}",
                f"lower `resources.workers_per_lane` or `resources.{key}`",
            )
        if lane > 0:
            limit = min(limit, math.floor(has / lane))
    return max(1, min(limit, num_lanes))


@contextmanager
def _ray() -> Iterator[None]:
    """A Ray of our own, quiet, without dashboard; stopped in every case."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # noqa: TID251  # Ray's own processes inherit it
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
        )
    except Exception as err:  # Ray raises whatever failed inside it
        raise LaunchError(
            f"Ray did not start on this machine: {type(err).__name__}: {err}",
            "`--target inprocess` runs the job without Ray",
        ) from err
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in the place of ours
    try:
        yield
    finally:
        ray.shutdown()


def _relay(futures: dict[Future[None], Assignment], mailbox: Any, listen: Listen) -> None:
    """Pass on what workers say until every lane has ended."""
    waiting = dict(futures)
    while waiting:
        time.sleep(_POLL_S)
        ended = [future for future in waiting if future.done()]
        for event in ray.get(mailbox.take.remote()):
            listen(event)
        for future in ended:
            assignment = waiting.pop(future)
            error = ray.get(mailbox.error_of.remote(assignment.lane)) or _lost(future)
            listen(LaneDone(lane=assignment.lane, error=error))


def _lost(future: Future[None]) -> str | None:
    """Why a lane ended without saying so itself: it lost workers more often than allowed."""
    err = future.exception()
    if err is None:
        return None
    first = str(err).strip().splitlines() or [""]
    return f"its workers were lost: {type(err).__name__}: {first[-1][:300]}"


def _settle(
    future: Future[None],
    slots: threading.Semaphore,
    assignment: Assignment,
    mailbox: Any,
    folder: str,
) -> None:
    """Wait for a slot, run the lane, and leave what became of it in `future`."""
    with slots:
        try:
            _fit(assignment, mailbox, folder)
        except Exception as err:  # whatever Ray raises is this lane's end, not the driver's
            future.set_exception(err)
        else:
            future.set_result(None)


def _fit(assignment: Assignment, mailbox: Any, folder: str) -> None:
    """One Ray Train run. Its name is new each time: Ray takes a known one for finished work."""
    resources = assignment.job.resources
    workers: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        workers["GPU"] = resources.gpus_per_worker
    TorchTrainer(
        _train,
        train_loop_config={"assignment": assignment, "mailbox": mailbox},
        scaling_config=ScalingConfig(
            num_workers=resources.workers_per_lane,
            use_gpu=resources.gpus_per_worker > 0,
            resources_per_worker=workers,
        ),
        run_config=RunConfig(
            name=f"{assignment.plan.run_id}-{assignment.lane}-{uuid.uuid4().hex[:8]}",
            storage_path=folder,
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
    teller = _Teller(mailbox, is_silent=ranks.index > 0)
    try:
        run_lane(assignment, ranks, get_device(), teller.tell)
    except StorageError:
        raise  # another attempt may find the store again
    except PriconError as err:
        # The same input gives the same error, so another attempt would be in vain. Other ranks may
        # wait for this one in a collective: only leaving with an error lets Ray end them.
        ray.get(mailbox.fail.remote(assignment.lane, str(err)))
        if ranks.size > 1:
            raise
    teller.flush()


class _Teller:
    """Sends events to the mailbox; epochs, which may take milliseconds, a few a second at most."""

    def __init__(self, mailbox: Any, is_silent: bool) -> None:
        self.mailbox = mailbox
        self.is_silent = is_silent
        self.told_at = 0.0
        self.sent: list[Any] = []

    def tell(self, event: Event) -> None:
        if self.is_silent:
            return
        now = time.monotonic()
        if isinstance(event, EpochDone):
            if now - self.told_at < _POLL_S:
                return
            self.told_at = now
        self.sent = [*self.sent[-8:], self.mailbox.put.remote(event)]

    def flush(self) -> None:
        ray.get(self.sent)


class _Mailbox:
    """Where workers leave events for the driver; lives beside the driver."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.errors: dict[int, str] = {}

    def put(self, event: Event) -> None:
        self.events.append(event)

    def take(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def fail(self, lane: int, error: str) -> None:
        self.errors[lane] = error

    def error_of(self, lane: int) -> str | None:
        return self.errors.get(lane)
