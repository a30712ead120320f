"""A run as it happens: what its driver says, its states, why it waits, and how it ends.

Three threads listen, to the RayJob, to its pods and to the driver's log; what they hear meets in
one queue. So a log that is quiet for an hour hides no worker that waits for a node.
"""

import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread

from pricon.errors import LaunchError, PriconError
from pricon.launch.account import Account
from pricon.launch.bulletins import Bulletin
from pricon.launch.ending import Outcome, is_final, outcome_of, why_ended
from pricon.launch.kubernetes import EVENTS, PODS, RAY_JOBS, Cluster, Object
from pricon.launch.pending import why_pending
from pricon.launch.podlog import PodLog, has_started, submitter_pods
from pricon.launch.pods import Reason, phase_of
from pricon.launch.rayjob import RUN_LABEL
from pricon.launch.refusals import ForbiddenError, UnansweredError
from pricon.launch.runs import ENDED, State, get_run, state_of
from pricon.launch.watching import Connection, snapshots


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
class Note:
    """Something about following itself."""

    text: str


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
    """

    tick_s: float = 0.5
    reason_s: float = 10.0
    drain_s: float = 20.0
    closed_s: float = 15.0


@dataclass(frozen=True, slots=True)
class _Run:
    ray_job: Object | None


@dataclass(frozen=True, slots=True)
class _Pods:
    pods: Mapping[str, Object]


@dataclass(frozen=True, slots=True)
class _LogDone:
    """There is no more to read."""


@dataclass(slots=True)
class _Listeners:
    """The three threads and what they share."""

    cluster: Cluster
    handle: str
    tick_s: float
    heard: "queue.SimpleQueue[object]" = field(default_factory=queue.SimpleQueue)
    stop: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)
    pods: Mapping[str, Object] = field(default_factory=dict)

    def start(self) -> None:
        connection = Connection(lambda text: self.heard.put(Note(text=text)))
        for listen in (self._to_run, self._to_pods, self._to_log):
            work = partial(self._guarded, partial(listen, connection))
            Thread(target=work, daemon=True, name=f"pricon{listen.__name__}").start()

    def _guarded(self, listen: Callable[[], None]) -> None:
        """An error of a thread is raised where the run is followed."""
        try:
            listen()
        except PriconError as err:
            self.heard.put(err)

    def _to_run(self, connection: Connection) -> None:
        selection = {"fieldSelector": f"metadata.name={self.handle}"}
        for found in snapshots(self.cluster, RAY_JOBS, selection, connection, self.stop):
            self.heard.put(_Run(found.get(self.handle)))

    def _to_pods(self, connection: Connection) -> None:
        selection = {"labelSelector": f"{RUN_LABEL}={self.handle}"}
        for found in snapshots(self.cluster, PODS, selection, connection, self.stop):
            self.pods = found
            self.heard.put(_Pods(found))

    def _to_log(self, connection: Connection) -> None:
        """The log of each submitter pod; KubeRay makes a new one for each retry."""
        read: set[str] = set()
        while not self.stop.is_set():
            pods = submitter_pods([*self.pods.values()], self.handle)
            fresh = [pod for pod in pods if pod["metadata"]["uid"] not in read and has_started(pod)]
            if not fresh:
                if self.ended.is_set():
                    self.heard.put(_LogDone())
                    return
                self.stop.wait(self.tick_s)
                continue
            self._read(PodLog(self.cluster, fresh[0]), connection)
            read.add(fresh[0]["metadata"]["uid"])

    def _read(self, log: PodLog, connection: Connection) -> None:
        while True:
            try:
                for text in log.follow(self.stop):
                    connection.works()
                    self.heard.put(Line(text=text, bulletin=None))
            except UnansweredError as err:
                connection.failed(err)
                self.stop.wait(self.tick_s)
            else:
                connection.works()
                return


class _Follower:
    """Makes one story of what the threads hear."""

    def __init__(self, cluster: Cluster, handle: str, pace: Pace) -> None:
        self.cluster = cluster
        self.handle = handle
        self.pace = pace
        self.listeners = _Listeners(cluster=cluster, handle=handle, tick_s=pace.tick_s)
        self.account = Account()
        self.ray_job: Object = get_run(cluster, handle)
        self.seen: dict[str, Object] = {}
        self.state: State | None = None
        self.reason: Reason | None = None
        self.evidence: Reason | None = None
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
            case PriconError():
                raise heard
            case Note():
                yield heard
            case Line(text=text):
                self.last = time.monotonic()
                yield Line(text=text, bulletin=self.account.take(text))
            case _Run(ray_job=None):
                self.is_gone = True
                self._end()
            case _Run(ray_job=ray_job):
                assert ray_job is not None
                yield from self._change(ray_job)
            case _Pods(pods=pods):
                self.seen |= pods
            case _LogDone():
                self.is_read = True

    def _change(self, ray_job: Object) -> Iterator[Heard]:
        self.ray_job = ray_job
        state = state_of(ray_job)
        if state != self.state:
            self.state = state
            if state == "retrying":
                self._gather()
                if not is_final(self.account.end):
                    self.account.end = None  # of the attempt before
            yield Changed(state=state)
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
        pods = [*self.listeners.pods.values()]
        is_waiting = self.state != "running" or any(phase_of(pod) == "Pending" for pod in pods)
        reason = why_pending(self.ray_job, pods, self._events()) if is_waiting else None
        if reason != self.reason:
            self.reason = reason
            yield Waiting(reason=reason)

    def _events(self) -> list[Object]:
        try:
            return events_of(self.cluster, self.handle)
        except UnansweredError:
            return []

    def _gather(self) -> None:
        """What ended this attempt, before its pods are forgotten."""
        self.evidence = why_ended(self.ray_job, [*self.seen.values()], self._events())

    def _outcome(self) -> Outcome:
        self._gather()
        if self.is_gone and self.account.end is None:
            return Outcome(
                exit_code=LaunchError.exit_code,
                cause="interrupted",
                message=f"run `{self.handle}` was cancelled: its RayJob is gone",
                hint="submit the job again to go on; finished trials are kept",
            )
        return outcome_of(self.ray_job, self.account.end, self.evidence)


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


def events_of(cluster: Cluster, handle: str) -> list[Object]:
    """Events about a run's objects, which all have its name in theirs.

    Empty where the user may not see events.
    """
    try:
        events = cluster.find(EVENTS)
    except ForbiddenError:
        return []
    return [event for event in events if handle in str(event["involvedObject"].get("name"))]
