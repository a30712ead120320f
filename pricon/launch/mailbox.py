"""How workers of lanes reach their driver: an actor beside it that keeps what they say."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from pricon.errors import LaunchError
from pricon.launch.events import (
    CheckpointKept,
    EpochDone,
    LaneEvent,
    LaneRestarted,
    StagesDone,
    WorkerHung,
)

POLL_S = 0.2
"""So often is it emptied, and so often does a lane tell of its epochs at most."""
_CHECK_EVERY_S = 1.0
Distance = tuple[int, int, int]
"""Packs committed, epochs of the next one, batches in a checkpoint of its next epoch."""


@contextmanager
def rays_failures() -> Iterator[None]:
    """Around what a driver asks of Ray: a failure of Ray itself is none of the job or of pricon.

    Raises:
        LaunchError: what was asked is gone, or Ray did not answer.
    """
    try:
        yield
    except RayTaskError:
        raise  # Ray works: it is our own code in it that does not
    except (RayError, ConnectionError) as err:
        said = str(err).strip().splitlines() or [""]
        raise LaunchError(
            f"Ray failed beside the driver: {type(err).__name__}: {said[0][:300]}",
            "submit again to go on: finished trials are kept; if it happens again, look at the "
            "memory of the machine that the driver runs on (on a cluster: its head)",
        ) from err


def answer_of(method: Any, *args: Any, check: Callable[[], None] | None = None) -> Any:
    """What the mailbox answers its driver.

    Args:
        method: of the mailbox.
        *args: of the method.
        check: of Ray, each second without an answer; it ends the wait by an error.

    Raises:
        LaunchError: it is gone, or Ray did not answer.
    """
    with rays_failures():
        answer = method.remote(*args)
        while True:
            try:
                return ray.get(answer, timeout=_CHECK_EVERY_S)
            except RayTaskError:
                raise  # whatever the method raised, a time-out of its own among it
            except GetTimeoutError:
                if check is not None:
                    check()


class Teller:
    """Sends events to the mailbox; epochs, which may take milliseconds, a few a second at most."""

    def __init__(self, mailbox: Any, is_silent: bool) -> None:
        self.mailbox = mailbox
        self.is_silent = is_silent
        self.told_at = 0.0
        self.sent: list[Any] = []

    def tell(self, event: LaneEvent) -> None:
        """Send an event, if it is worth it."""
        if self.is_silent:
            return
        now = time.monotonic()
        if isinstance(event, EpochDone):
            if now - self.told_at < POLL_S:
                return
            self.told_at = now
        self.sent = [*self.sent[-8:], self.mailbox.put.remote(event)]

    def flush(self) -> None:
        """Return when everything that was sent has arrived."""
        ray.get(self.sent)


class Mailbox:
    """Where workers leave events for the driver; lives beside the driver."""

    def __init__(self) -> None:
        self.events: list[tuple[float, LaneEvent]] = []
        self.errors: dict[int, str] = {}
        self.distances: dict[int, Distance] = {}
        self.losses: Counter[int] = Counter()
        self.hung: dict[int, str] = {}
        self.reserved: dict[int, Any] = {}

    def put(self, event: LaneEvent) -> None:
        """A worker says something."""
        self.events.append((time.monotonic(), event))
        before = self.distance_of(event.lane)
        packs, *_ = before
        if not isinstance(event, WorkerHung):  # the lane got further, or begins again
            self.hung.pop(event.lane, None)
        match event:
            case EpochDone(epoch=epoch):
                self.distances[event.lane] = max(before, (packs, epoch, 0))
            case CheckpointKept(epoch=epoch, batches=batches):
                self.distances[event.lane] = max(before, (packs, epoch, batches))
            case StagesDone(committed=committed) if committed:
                self.distances[event.lane] = (packs + 1, 0, 0)
            case WorkerHung():
                self.hung.setdefault(event.lane, event.words)  # others have waited for the first

    def take(self) -> list[tuple[float, LaneEvent]]:
        """What was said since it was last taken, and when by the clock that the driver has, too."""
        events, self.events = self.events, []
        return events

    def fail(self, lane: int, error: str) -> None:
        """A lane cannot do its work, however often it tries."""
        self.errors[lane] = error

    def error_of(self, lane: int) -> str | None:
        """Why a lane cannot do its work, or None."""
        return self.errors.get(lane)

    def lose(self, lane: int) -> None:
        """Ray Train replaces a lane's workers, of which it has lost one in training."""
        self.losses[lane] += 1
        self.put(LaneRestarted(lane=lane))

    def hang_of(self, lane: int) -> str | None:
        """Which worker hung, where that is the last that was heard of the lane."""
        return self.hung.get(lane)

    def reserve(self, lane: int, group: Any) -> None:
        """A placement group that a lane's workers have."""
        self.reserved[lane] = group

    def reserved_by(self, lane: int) -> Any | None:
        """The last one that they had, given back or not."""
        return self.reserved.get(lane)

    def losses_of(self, lane: int) -> int:
        """How often it has done so."""
        return self.losses[lane]

    def distance_of(self, lane: int) -> Distance:
        """How far a lane got. It never goes back, and ends with the lane's work.

        An epoch may take hours, in which checkpoints between batches are all that is gained.
        """
        return self.distances.get(lane, (0, 0, 0))
