"""Lanes as concurrent Ray Train runs, and what is heard of them."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pricon.launch.events import LaneDone, LaneRestarted, Listen, NodesHeld, PackBegun, StagesDone
from pricon.launch.gauges import Gauges
from pricon.launch.lane_run import Work, fit_through_losses
from pricon.launch.lanes import Assignment
from pricon.launch.local import OwnRay
from pricon.launch.mailbox import POLL_S, Mailbox, answer_of, rays_failures
from pricon.launch.nodes import WorkerNodes
from pricon.launch.sizing import Machine, Share
from pricon.launch.starts import (
    has_waited_in_vain,
    lost_its_controller,
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
                    work = Work(
                        assignment=assignment,
                        share=share,
                        mailbox=mailbox,
                        folder=folder,
                        is_over=is_over,
                        is_alone=self.own is not None and share.at_once == 1,
                    )
                    # Daemons: a `fit` that never hears of Ray's end must not keep us alive.
                    args = (future, slots, work)
                    threading.Thread(target=_settle, args=args, daemon=True).start()
                worker = share.of_worker(self.resources)
                limit_s, size = self.resources.workers_within_s, self.resources.workers_per_lane
                nodes = WorkerNodes(limit_s, worker, num_workers=size)
                check = None if self.own is None else self.own.check
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


def _relay(
    futures: dict[Future[None], Assignment],
    mailbox: Any,
    listen: Listen,
    nodes: WorkerNodes,
    check: Callable[[], None] | None,
) -> None:
    """Pass on what workers say until every lane has ended.

    Args:
        futures: the lanes.
        mailbox: where workers say it.
        listen: told what they say.
        nodes: that the lanes are worked on.
        check: of a Ray of our own, each time before it is asked, and while it does not answer.

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
        if check is not None:
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
    if not isinstance(err, Exception):
        return None
    has_no_controller = lost_its_controller(err)
    if (taken := want_of_memory(err)) is not None:
        return f"its {_killed_for_memory(taken, is_controller=has_no_controller)}"
    if has_waited_in_vain(err):
        return "its workers found no room, perhaps for what a controller that was lost had reserved"
    if hung is not None:
        return f"its workers hung: {hung}"
    first = str(err).strip().splitlines() or [""]
    lost = "controller was" if has_no_controller else "workers were"
    return f"its {lost} lost: {type(err).__name__}: {first[-1][:300]}"


def _killed_for_memory(taken: str, *, is_controller: bool) -> str:
    if is_controller:
        return (
            f"controller was killed for want of memory: {taken} were taken on the driver's node; "
            "fewer `resources.lanes_at_once` take less there"
        )
    return (
        f"workers were killed for want of memory: {taken} were taken on their node; fewer "
        "`resources.pack_members` take less, and so do fewer workers beside each other"
    )


def _settle(future: Future[None], slots: threading.Semaphore, work: Work) -> None:
    """Wait for a slot, run the lane, and leave what became of it in `future`."""
    with slots:
        try:
            if not work.is_over.is_set():
                fit_through_losses(work)
        except Exception as err:  # whatever Ray raises is this lane's end, not the driver's
            future.set_exception(err)
        else:
            future.set_result(None)
