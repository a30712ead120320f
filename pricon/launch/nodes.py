"""Nodes of a Ray cluster: whether workers find room, how many there were, and which were lost.

A run that has had no room for workers for long ends by itself.

Ray Train asks for a lost worker group again without end, and the head of such a run would wait, and
cost, for as long as the run may take at all. A node counts for as many workers as fit on it while
it is empty, and all workers of a lane start together: fewer than they need is as little as none.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import ray
from ray.core.generated.common_pb2 import NodeDeathInfo  # type: ignore[attr-defined]
from ray.exceptions import RayError

from pricon.launch.events import NodesHeld
from pricon.launch.lanes import NoWorkersError
from pricon.launch.mailbox import POLL_S
from pricon.launch.sizing import Machine

_log = logging.getLogger(__name__)
_ASK_EVERY_S = 10.0
_ROUNDING = 1e-6
"""0.3 CPUs are three times 0.1 of them."""
_TAKEN_AWAY = (
    NodeDeathInfo.EXPECTED_TERMINATION,  # Ray was asked to stop, as by Kubernetes
    NodeDeathInfo.UNEXPECTED_TERMINATION,
    NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED,
)
_NODE_DEATH_S = 30.0
"""So long Ray takes at most to call a silent node dead."""


def alive_nodes() -> list[Machine]:
    """What each node has that is alive, in use or not."""
    known = _nodes()
    return [node["Resources"] for node in known if node["Alive"]]


class WorkerNodes:
    """Looks for them, now and then. A head on a cluster is none: it has no CPUs for work.

    Args:
        limit_s: so long may there be too few; None: for ever.
        worker: what one worker needs.
        nodes: what each node has.
        num_workers: of a lane, which starts with all of them or not at all.
    """

    def __init__(
        self,
        limit_s: float | None,
        worker: Machine,
        nodes: Callable[[], Iterable[Machine]] = alive_nodes,
        *,
        num_workers: int = 1,
    ) -> None:
        self.limit_s = limit_s
        self.worker = worker
        self.nodes = nodes
        self.num_workers = num_workers
        self.missing_since: float | None = None
        self.asked_at: float | None = None
        self.counted_at: float | None = None
        self.seen: NodesHeld | None = None

    def check(self) -> NodesHeld | None:
        """Look, where it is time to; what there was since it was counted last.

        Raises:
            NoWorkersError: there has been no room for the workers of a lane for too long.
        """
        now = time.monotonic()
        if self.asked_at is not None and now - self.asked_at < self._every_s:
            return None
        nodes = self._look(now)
        if nodes is None:
            return None
        self._check_room(sum(self._room_on(node) for node in nodes), now)
        return self._count(nodes, now)

    def last(self) -> NodesHeld | None:
        """What there was since it was counted last, when nobody needs nodes any more."""
        now = time.monotonic()
        nodes = self._look(now)
        return None if nodes is None else self._count(nodes, now)

    def until(self, moment: float) -> NodesHeld | None:
        """What there was since it was counted last, as of the last look; None where that is later.

        Args:
            moment: of the monotonic clock.
        """
        if self.seen is None or self.counted_at is None or moment <= self.counted_at:
            return None
        since, self.counted_at = self.counted_at, moment
        return replace(self.seen, seconds=moment - since)

    def _look(self, now: float) -> list[Machine] | None:
        if self.limit_s is None:
            return None
        self.asked_at = now
        try:
            return [*self.nodes()]
        except (RayError, ConnectionError) as err:
            _log.warning("Ray did not say which nodes it has: %s: %s", type(err).__name__, err)
            return None  # no answer is neither yes nor no

    def _count(self, nodes: Iterable[Machine], now: float) -> NodesHeld:
        for_work = [node for node in nodes if node.get("CPU") or node.get("GPU")]
        gpus = sum(node.get("GPU", 0.0) for node in for_work)
        since, self.counted_at = self.counted_at or now, now
        self.seen = NodesHeld(nodes=len(for_work), gpus=gpus, seconds=now - since)
        return self.seen

    def _check_room(self, room: int, now: float) -> None:
        if room >= self.num_workers:
            self.missing_since = None
            return
        self.missing_since = self.missing_since or now
        if now - self.missing_since > (self.limit_s or math.inf):
            raise NoWorkersError(
                self._words(room),
                "submit again to wait again; on Kubernetes, `pricon status` then says what the "
                "worker pods wait for. `resources.workers_within_s`, or `pendingLimitS` of the "
                "cluster's profile, is the limit",
            )

    def _words(self, room: int) -> str:
        needs = ", ".join(f"{noun} {wants:g}" for noun, wants in self.worker.items())
        if not room:
            return (
                f"no node for workers has come within {self.limit_s:g} s\n"
                f"  expected one large enough for a worker: {needs}"
            )
        return (
            f"too few nodes for the workers of a lane have come within {self.limit_s:g} s\n"
            f"  expected room for {self.num_workers} at once, each: {needs}; there is room for "
            f"{room}"
        )

    def _room_on(self, node: Machine) -> int:
        """How many workers fit. Shares of a GPU that end on two of them are not told apart."""
        fit = [node.get(noun, 0.0) / wants for noun, wants in self.worker.items() if wants > 0]
        return math.floor(min(fit) + _ROUNDING) if fit else self.num_workers

    @property
    def _every_s(self) -> float:
        return min(_ASK_EVERY_S, (self.limit_s or 0.0) / 4)


def has_lost_more_than(known: set[str], is_over: threading.Event) -> bool:
    """Whether a node was lost; Ray hears of that later than of the loss of its workers."""
    own = ray.get_runtime_context().get_node_id()
    until = time.monotonic() + _NODE_DEATH_S
    while time.monotonic() < until:
        nodes = _nodes()
        if _lost(nodes) - known:
            return True
        if {node["NodeID"] for node in nodes if node["Alive"]} <= {own}:
            return False  # the one that is left cannot be lost to who runs on it
        if is_over.wait(POLL_S):
            return False
    return False


def lost_nodes() -> set[str]:
    """Nodes that were taken away or died; not those that an autoscaler gave back."""
    return _lost(_nodes())


def _lost(nodes: Iterable[dict[str, Any]]) -> set[str]:
    taken = (node for node in nodes if not node["Alive"] and node["DeathReason"] in _TAKEN_AWAY)
    return {node["NodeID"] for node in taken}


def _nodes() -> list[dict[str, Any]]:
    """All that Ray knows of, dead ones as well."""
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return known
