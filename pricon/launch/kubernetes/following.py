"""A run as it happens: what its driver says, its states, why it waits, and how it ends.

Makes one story of what `pricon.launch.kubernetes.listening` hears.
"""

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pricon.errors import LaunchError
from pricon.launch.account import Account
from pricon.launch.bulletins import Bulletin
from pricon.launch.kubernetes.client import EVENTS, Cluster, Object
from pricon.launch.kubernetes.ending import Outcome, is_final, outcome_of, state_told, why_ended
from pricon.launch.kubernetes.listening import Listeners, LogLine, LogRead, Note, PodsSeen, RunSeen
from pricon.launch.kubernetes.pending import why_pending
from pricon.launch.kubernetes.pods import Reason, name_of, phase_of, role_of, since
from pricon.launch.kubernetes.refusals import ForbiddenError, RefusedError, UnansweredError
from pricon.launch.kubernetes.runs import ENDED, State, get_run
from pricon.launch.kubernetes.watching import FORGETFUL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the driver's log; `bulletin` where it is one."""

    text: str
    bulletin: Bulletin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The run has another state."""

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something of the run waits; None: nothing does any more."""

    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last of all."""

    outcome: Outcome


Heard = Line | Changed | Waiting | Note | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often is looked and how long is waited, in seconds.

    Args:
        tick_s: between two looks at the clock.
        reason_s: between two looks at why something waits.
        drain_s: for the next line, after the run has ended.
        closed_s: for KubeRay to notice an end, after the driver has said one that is final.
        forgetful_s: for a server that refuses what it has answered before to answer it again.
    """

    tick_s: float = 0.5
    reason_s: float = 10.0
    drain_s: float = 20.0
    closed_s: float = 15.0
    forgetful_s: float = FORGETFUL_S


class _Follower:
    """The story so far, and what to tell of what is heard next."""

    def __init__(self, cluster: Cluster, handle: str, pace: Pace) -> None:
        self.cluster = cluster
        self.handle = handle
        self.pace = pace
        self.ray_job: Object = get_run(cluster, handle)
        self.listeners = Listeners(
            cluster=cluster,
            ray_job=self.ray_job,
            tick_s=pace.tick_s,
            forgetful_s=pace.forgetful_s,
        )
        self.account = Account()
        self.seen: dict[str, Object] = {}  # pods of this attempt by uid, as they were last
        self.past: set[str] = set()
        self.state: State | None = None
        self.reason: Reason | None = None
        self.asked = self.last = time.monotonic()
        self.is_gone = self.is_read = False

    def story(self) -> Iterator[Heard]:
        self.listeners.start()
        try:
            yield from self._change(self.ray_job)
            while not self._is_over():
                try:
                    heard = self.listeners.heard.get(timeout=self.pace.tick_s)
                except queue.Empty:
                    heard = None
                yield from self._hear(heard)
                yield from self._wonder()
            yield Ended(outcome=self._outcome())
        finally:
            self.listeners.stop.set()

    def _hear(self, heard: object) -> Iterator[Heard]:
        match heard:
            case Exception():
                raise heard
            case Note():
                yield heard
            case LogLine(text=text):
                self.last = time.monotonic()
                yield Line(text=text, bulletin=self.account.take(text))
            case RunSeen(ray_job=ray_job):
                if ray_job is None or _uid(ray_job) != _uid(self.ray_job):
                    self.is_gone = True
                    self._end()
                else:
                    yield from self._change(ray_job)
            case PodsSeen(pods=pods):
                seen = {_uid(pod): pod for pod in since(self.ray_job, pods)}
                self.seen |= {uid: pod for uid, pod in seen.items() if uid not in self.past}
            case LogRead():
                self.is_read = True

    def _change(self, ray_job: Object) -> Iterator[Heard]:
        self.ray_job = ray_job
        state = state_told(ray_job, self.account.end)
        if state != self.state:
            self.state = state
            yield Changed(state=state)
            if state == "retrying":
                yield from self._attempt_lost()
        if state in ENDED:
            self._end()

    def _end(self) -> None:
        """Nothing more happens; lines may still come."""
        if not self.listeners.ended.is_set():
            self.last = time.monotonic()
            self.listeners.ended.set()

    def _is_over(self) -> bool:
        quiet_s = time.monotonic() - self.last
        if self.listeners.ended.is_set():
            return self.is_read or quiet_s > self.pace.drain_s
        # KubeRay has missed the end, or repeats what only repeats itself.
        return is_final(self.account.end) and quiet_s > self.pace.closed_s

    def _wonder(self) -> Iterator[Heard]:
        """Look at what waits, from time to time."""
        now = time.monotonic()
        if now - self.asked < self.pace.reason_s or self.listeners.ended.is_set():
            return
        self.asked = now
        pods = since(self.ray_job, self.listeners.pods)
        workers = [pod for pod in pods if role_of(pod) == "worker" and phase_of(pod) == "Running"]
        is_waiting = self.state != "running" or any(phase_of(pod) == "Pending" for pod in pods)
        is_waiting = is_waiting or not workers  # a quota leaves no pod that could be pending
        events = self._events() if is_waiting else []
        if events is None:
            return  # what it waited for stands
        reason = why_pending(self.ray_job, pods, events) if is_waiting else None
        if reason != self.reason:
            self.reason = reason
            yield Waiting(reason=reason)

    def _events(self) -> list[Object] | None:
        """None where the server does not give them, which whoever listens is told as well."""
        try:
            return events_of(self.listeners.cluster, self.ray_job)
        except (UnansweredError, RefusedError):
            return None

    def _attempt_lost(self) -> Iterator[Heard]:
        """What ended an attempt; its pods and last words are not those of the next."""
        reason = self._why_ended()
        if reason is not None:
            yield Note(text=f"the attempt before: {reason.sentence}")
        self.past |= self.seen.keys()
        self.seen = {}
        if not is_final(self.account.end):
            self.account.end = None

    def _why_ended(self) -> Reason | None:
        return why_ended(self.ray_job, [*self.seen.values()], self._events() or [])

    def _outcome(self) -> Outcome:
        if self.is_gone and self.account.end is None:
            return Outcome(
                exit_code=LaunchError.exit_code,
                cause="interrupted",
                message=f"run `{self.handle}` was cancelled: its RayJob is gone",
                hint="submit the job again to go on; finished trials are kept",
            )
        return outcome_of(self.ray_job, self.account.end, self._why_ended())


def _uid(found: Object) -> str:
    return str(found["metadata"]["uid"])


def follow(cluster: Cluster, handle: str, pace: Pace | None = None) -> Iterator[Heard]:
    """A run from its first line to its end, which comes last, as `Ended`.

    It survives lost connections, restarts of the API server and retries of the run: each line comes
    once. Closing the iterator leaves the run alone.

    Args:
        cluster: where.
        handle: of the run.
        pace: how patient.

    Raises:
        LaunchError: there is no such run, the server refuses, or does not answer for long.
    """
    yield from _Follower(cluster, handle, pace or Pace()).story()


def events_of(cluster: Cluster, ray_job: Object) -> list[Object]:
    """Events about a run's objects, which all have its name in theirs.

    Empty where the user may not see events.
    """
    try:
        return find_events(cluster, ray_job)
    except ForbiddenError:
        return []


def find_events(cluster: Cluster, ray_job: Object) -> list[Object]:
    """The same, for who must know whether they were seen.

    Raises:
        ForbiddenError: the user may not see events.
        LaunchError: the API server refuses otherwise, or does not answer.
    """
    events = cluster.find(EVENTS)
    handle = name_of(ray_job)
    mine = [event for event in events if handle in str(event["involvedObject"].get("name"))]
    return since(ray_job, mine)
