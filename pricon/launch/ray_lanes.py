"""Lanes as concurrent Ray Train runs.

One worker group a lane, however many trials the lane holds: starting a group costs ten seconds and
more, training an affect model often less. Ray Train's own checkpoints are not used; what counts is
in storage under our commit records, because a returned `report` does not mean a durable checkpoint.
"""

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pricon.launch.events import LaneDone, LaneRestarted, Listen, NodesHeld, PackBegun, StagesDone
from pricon.launch.gauges import Gauges
from pricon.launch.lanes import Assignment
from pricon.launch.local import OwnRay
from pricon.launch.mailbox import POLL_S, Mailbox, answer_of, nothing, rays_failures
from pricon.launch.nodes import WorkerNodes, has_lost_more_than, lost_nodes
from pricon.launch.ray_worker import collective_timeout_s, train_lane
from pricon.launch.sizing import Machine, Share
from pricon.launch.starts import (
    callbacks_of,
    has_waited_in_vain,
    lost_its_controller,
    may_start_again,
    want_of_memory,
)
from pricon.spec.resources import ResourcesSpec

_LEAVE_S = 10.0
"""So long lanes that are no longer wanted may take to end: a controller may just be starting."""

Connect = Callable[[], Machine | None]
"""Leads to a Ray. Null: it grows as lanes ask for workers."""


class RayLanes:
    """See `Lanes`.

    Args:
        resources: of a lane.
        connect: starts Ray, or joins one.
        own: the Ray that `connect` starts; None for one that it joins, which is left when this
            process ends.
    """

    def __init__(
        self,
        resources: ResourcesSpec,
        connect: Connect,
        own: OwnRay | None = None,
    ) -> None:
        self.resources = resources
        self.connect = connect
        self.own = own

    def run(self, lanes: Sequence[Assignment], listen: Listen) -> None:
        """See `Lanes`.

        Raises:
            LaunchError: there is no Ray, or it fails; one lane needs more than it has, or no nodes
                large enough for its workers come.
        """
        machine = self.connect()
        futures: dict[Future[None], Assignment] = {}
        is_over = threading.Event()
        # A controller may still write into it while it is removed.
        folders = tempfile.TemporaryDirectory(prefix="pricon-ray-", ignore_cleanup_errors=True)
        with folders as folder:
            try:
                share = Share.of(self.resources, len(lanes), machine)
                mailbox = _mailbox()
                slots = threading.Semaphore(share.at_once)
                for assignment in lanes:
                    future: Future[None] = Future()
                    futures[future] = assignment
                    work = _Work(
                        assignment=assignment,
                        share=share,
                        mailbox=mailbox,
                        folder=folder,
                        is_over=is_over,
                    )
                    # Daemons: a `fit` that never hears of Ray's end must not keep us alive.
                    args = (future, slots, work)
                    threading.Thread(target=_settle, args=args, daemon=True).start()
                worker = share.of_worker(self.resources)
                limit_s, size = self.resources.workers_within_s, self.resources.workers_per_lane
                nodes = WorkerNodes(limit_s, worker, num_workers=size)
                check = nothing if self.own is None else self.own.check
                _relay(futures, mailbox, listen, nodes, check)
            finally:
                is_over.set()
                self._shut_down_unless_waited_for(futures)

    def _shut_down_unless_waited_for(self, futures: Iterable[Future[None]]) -> None:
        """Shut down a Ray of our own, unless somebody still waits in it.

        Ray ends a process whose thread comes back to it after its shutdown: at once, with exit code
        1 and without a word. Then it is rather left to end with this process, as is a Ray that was
        joined: its client once crashed a process just after the shutdown, and a report is to come.
        """
        if self.own is None or not self.own.is_whole:
            return
        until = time.monotonic() + _LEAVE_S
        while waiting := not all(future.done() for future in futures):
            if time.monotonic() > until:
                break
            self.own.end_controllers()
            time.sleep(POLL_S)
        if not waiting:
            ray.shutdown()


def _mailbox() -> Any:
    """On this node, which is the last to go."""
    actor: Any = ray.remote(Mailbox)
    with rays_failures():
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return actor.options(num_cpus=0, scheduling_strategy=here).remote()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A lane's work, where it is done, and whether anybody still wants it."""

    assignment: Assignment
    share: Share
    mailbox: Any
    folder: str
    is_over: threading.Event


def _relay(
    futures: dict[Future[None], Assignment],
    mailbox: Any,
    listen: Listen,
    nodes: WorkerNodes,
    check: Callable[[], None],
) -> None:
    """Pass on what workers say until every lane has ended.

    Args:
        futures: the lanes.
        mailbox: where workers say it.
        listen: told what they say.
        nodes: that the lanes are worked on.
        check: of Ray, each time before it is asked, and while it does not answer.

    Raises:
        LaunchError: Ray failed, or no nodes for workers come.
    """

    def listen_to(held: NodesHeld | None) -> None:
        if held is not None:
            listen(held)

    ask = partial(answer_of, check=check)
    waiting = dict(futures)
    gauges = Gauges()
    while waiting:
        time.sleep(POLL_S)
        check()
        ended = [future for future in waiting if future.done()]
        for moment, event in ask(mailbox.take):
            # What is held until a lane changes its work is counted for those at work till then.
            if isinstance(event, PackBegun | StagesDone | LaneRestarted):
                listen_to(nodes.until(moment))
            gauges.show(event)
            listen(event)
        listen_to(nodes.check() if len(ended) < len(waiting) else nodes.last())
        gauges.repeat()
        for future in ended:
            assignment = waiting.pop(future)
            error = ask(mailbox.error_of, assignment.lane)
            hung = ask(mailbox.hang_of, assignment.lane)
            lost = _lost(future, hung) if error is None else None
            done = LaneDone(lane=assignment.lane, error=error or lost, lost=lost is not None)
            gauges.show(done)
            listen(done)


def _lost(future: Future[None], hung: str | None) -> str | None:
    """Why a lane ended without saying so itself: it lost workers more often than allowed.

    Args:
        future: has its end.
        hung: which worker was ended at last, where one was, for it got no further.
    """
    err = future.exception()
    if err is None:
        return None
    if (taken := want_of_memory(err)) is not None:  # type: ignore[arg-type]  # `_settle` sets these
        return (
            f"its workers were killed for want of memory: {taken} were taken on their node; fewer "
            "`resources.pack_members` take less, and so do fewer workers beside each other"
        )
    if hung is not None:
        return f"its workers hung: {hung}"
    first = str(err).strip().splitlines() or [""]
    lost = "controller was" if lost_its_controller(err) else "workers were"  # type: ignore[arg-type]
    return f"its {lost} lost: {type(err).__name__}: {first[-1][:300]}"


def _settle(future: Future[None], slots: threading.Semaphore, work: _Work) -> None:
    """Wait for a slot, run the lane, and leave what became of it in `future`."""
    with slots:
        try:
            if not work.is_over.is_set():
                _fit_through_losses(work)
        except Exception as err:  # whatever Ray raises is this lane's end, not the driver's
            future.set_exception(err)
        else:
            future.set_result(None)


def _fit_through_losses(work: _Work) -> None:
    """Begin again where workers are lost that Ray Train does not replace by itself.

    Preemption is nobody's failure, and costs no retry, as long as the lane gets further between two
    losses: a worker that takes its node with it at every start, for want of memory, does not. A
    worker that is lost while it starts costs one, beside those that Ray Train has used until then,
    and so does a controller. What one has reserved that dies before its workers are there nobody
    knows: from then on a wait in vain may be for that, and costs one as well.
    """
    resources, mailbox = work.assignment.job.resources, work.mailbox
    lane, retries = work.assignment.lane, resources.max_failures
    cost_of_waiting = 0
    before = ray.get(mailbox.distance_of.remote(lane))
    while not work.is_over.is_set():
        lost, known = lost_nodes(), ray.get(mailbox.losses_of.remote(lane))
        try:
            return _fit(work, retries)
        except Exception as err:
            used = ray.get(mailbox.losses_of.remote(lane)) - known
            if has_waited_in_vain(err) and retries >= used + cost_of_waiting:
                retries -= used + cost_of_waiting
                continue
            now = ray.get(mailbox.distance_of.remote(lane))
            if is_headless := lost_its_controller(err):
                cost_of_waiting = 1
                _give_back(ray.get(mailbox.reserved_by.remote(lane)))
            # A controller is on the driver's own node, which is there.
            if not is_headless and now > before and has_lost_more_than(lost, work.is_over):
                before, retries = now, resources.max_failures
            elif retries > used and may_start_again(err, resources.workers_per_lane):
                retries -= used + 1
            else:
                raise
            ray.get(mailbox.put.remote(LaneRestarted(lane=lane)))


def _give_back(group: PlacementGroup | None) -> None:
    if group is not None:
        remove_placement_group(group)


def _fit(work: _Work, retries: int) -> None:
    """One Ray Train run, which replaces workers lost in training `retries` times.

    Its name is new each time: Ray takes a known one for finished work.
    """
    assignment = work.assignment
    resources = assignment.job.resources
    TorchTrainer(
        train_lane,
        train_loop_config={"assignment": assignment, "mailbox": work.mailbox},
        scaling_config=ScalingConfig(
            num_workers=resources.workers_per_lane,
            use_gpu=work.share.gpus > 0,
            resources_per_worker=work.share.of_worker(resources),
        ),
        run_config=RunConfig(
            name=f"{assignment.plan.run_id}-{assignment.lane}-{uuid.uuid4().hex[:8]}",
            storage_path=work.folder,
            # A start that fails is ours to judge; Ray would start again without end.
            failure_config=FailureConfig(max_failures=retries, controller_failure_limit=0),
            callbacks=callbacks_of(work.mailbox, assignment.lane),
        ),
        torch_config=TorchConfig(timeout_s=collective_timeout_s(resources.hung_after_s)),
    ).fit()
