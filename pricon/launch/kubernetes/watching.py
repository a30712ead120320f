"""Objects of a run as they change, over lost connections, stale versions and restarts of the API.

A watch may end at any time. It is opened again where it was when its server ended it, and begun
anew, with all objects, when it broke or its version was too old.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event, Lock

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.patience import Patience
from pricon.launch.kubernetes.refusals import (
    BrokenStreamError,
    RefusedError,
    UnansweredError,
)
from pricon.launch.kubernetes.request import Kind

LOST_AFTER_S = 15 * 60.0
"""So long may a server not answer before whoever listens is told that it is lost."""
FORGETFUL_S = 60.0
"""So long may a server that was started again not know yet who may do what, and which kinds are."""
_SILENT_S = 5.0
"""A refusal that lasts longer is told; most are over before."""
_ANEW_S = 10.0
"""After so long without one, a refusal is another one, of a server that was started once more."""
_STARTED_AGAIN = "as a server that was started again refuses everybody at first"


class Connection:
    """Whether the API server answers; says so when that changes, and gives up after a while.

    Several listeners share one. Each has a clock of its own, so that what still answers one of them
    (a log that a node refuses, say) is no sign of life for the others; what all see is said once.

    Args:
        say: told in words.
        patience: how long is waited between two tries.
        lost_after_s: so long without an answer to one listener is the end.
        forgetful_s: so long may the server refuse what it has answered before.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        patience: Patience,
        lost_after_s: float = LOST_AFTER_S,
        forgetful_s: float = FORGETFUL_S,
    ) -> None:
        self._say = say
        self._lost_after_s = lost_after_s
        self._forgetful_s = forgetful_s
        self._patience = patience
        self._down: dict[str, _Outage] = {}
        self._answered: set[str] = set()
        self._refused: dict[str, _Refusal] = {}
        self._lock = Lock()

    def works(self, listener: str) -> None:
        """The server has answered this listener."""
        with self._lock:
            self._answered.add(listener)
            if self._down.pop(listener, None) is not None and not self._down:
                self._say("the API server answers again")

    def refused(self, listener: str, error: RefusedError) -> float:
        """The server refuses this listener; seconds to wait before it tries again.

        That it answers other requests of this listener is no sign that it will answer this one.

        Raises:
            RefusedError: the same error, where the server has never answered, or refuses for long.
        """
        now = time.monotonic()
        with self._lock:
            refusal = self._refused.get(listener)
            if refusal is None or now - refusal.last > _ANEW_S:
                refusal = self._refused[listener] = _Refusal(since=now, last=now)
            refusal.last = now
            lasted_s = now - refusal.since
            if listener not in self._answered or lasted_s > self._forgetful_s:
                raise error
            if lasted_s > _SILENT_S and not self._is_refusal_told(now):
                refusal.is_told = True
                left_s = self._forgetful_s - lasted_s
                self._say(f"{error.message}; asking for {left_s:.0f} s more, {_STARTED_AGAIN}")
        return self._patience.pause_s(0)

    def _is_refusal_told(self, now: float) -> bool:
        """Of this server, by whichever listener."""
        told = [refusal for refusal in self._refused.values() if refusal.is_told]
        return any(now - refusal.last < _ANEW_S for refusal in told)

    def failed(self, listener: str, error: LaunchError) -> float:
        """The server has not answered this listener; seconds to wait before it tries again.

        Raises:
            LaunchError: the same error, where this has been so for long.
        """
        now = time.monotonic()
        with self._lock:
            if not self._down:
                self._say(f"{error.message}; the run goes on, trying again")
            outage = self._down.setdefault(listener, _Outage(since=now))
            if now - outage.since > self._lost_after_s:
                raise error
            outage.tries += 1
            return self._patience.pause_s(outage.tries)


@dataclass(slots=True)
class _Outage:
    """Since when a listener has no answer, and how often it has asked."""

    since: float
    tries: int = -1


@dataclass(slots=True)
class _Refusal:
    """Since when a listener is refused, when it was last, and whether that was said."""

    since: float
    last: float
    is_told: bool = False


def snapshots(
    cluster: Cluster,
    kind: Kind,
    selection: Mapping[str, str],
    connection: Connection,
    stop: Event,
) -> Iterator[dict[str, Object]]:
    """All objects of a selection by name: now, and after every change.

    Args:
        cluster: where.
        kind: of the objects.
        selection: `labelSelector` or `fieldSelector`.
        connection: told, under the plural of `kind`, whether the server answers.
        stop: ends it.

    Raises:
        LaunchError: refused, or no answer for long.
    """
    while not stop.is_set():
        try:
            found, version = cluster.listing(kind, selection)
            connection.works(kind.plural)
            objects = {str(one["metadata"]["name"]): one for one in found}
            yield dict(objects)
            while not stop.is_set():
                for change, one in cluster.watch(kind, selection, version):
                    version = str(one["metadata"]["resourceVersion"])
                    if change == "BOOKMARK":
                        continue
                    objects.pop(str(one["metadata"]["name"]), None)
                    if change != "DELETED":
                        objects[str(one["metadata"]["name"])] = one
                    yield dict(objects)
                stop.wait(cluster.patience.first_s)
        except BrokenStreamError:
            stop.wait(cluster.patience.first_s)
        except RefusedError as err:
            stop.wait(connection.refused(kind.plural, err))
        except UnansweredError as err:
            stop.wait(connection.failed(kind.plural, err))
