"""Three threads that listen to a run: to its RayJob, to its pods, and to its driver's log.

What they hear meets in one queue, so a log that is quiet for an hour hides no worker that waits for
a node. What it means is for `pricon.launch.kubernetes.following`.
"""

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread

from pricon.launch.kubernetes.client import PODS, RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.podlog import PodLog, has_started, submitter_pods
from pricon.launch.kubernetes.pods import name_of, since
from pricon.launch.kubernetes.rayjob import RUN_LABEL
from pricon.launch.kubernetes.refusals import RefusedError, UnansweredError, UnreadableLogError
from pricon.launch.kubernetes.watching import FORGETFUL_S, LOST_AFTER_S, Connection, snapshots

_LOG = "log"
"""Name under which the connection knows the thread that reads the log."""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """The RayJob as it is now; None: there is none."""

    ray_job: Object | None


@dataclass(frozen=True, slots=True)
class PodsSeen:
    """Pods with the run's label as they are now."""

    pods: Sequence[Object]


@dataclass(frozen=True, slots=True)
class LogRead:
    """The run has ended, and there is no more to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the driver."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something about following itself."""

    text: str


@dataclass(slots=True, kw_only=True)
class Listeners:
    """The three threads and what they share.

    Args:
        cluster: where.
        ray_job: of the run, as it was at first.
        tick_s: between two looks for another submitter pod.
        lost_after_s: so long may the API server not answer.
        forgetful_s: so long may it refuse what it has answered before.
        heard: what was heard, in order: of the types above, or an error.
        stop: ends all threads, each at the next thing it hears.
        ended: set by who has seen the run end, so that the log may end as well.
        pods: as they were last seen.
    """

    cluster: Cluster
    ray_job: Object
    tick_s: float
    lost_after_s: float = LOST_AFTER_S
    forgetful_s: float = FORGETFUL_S
    heard: "queue.SimpleQueue[object]" = field(default_factory=queue.SimpleQueue)
    stop: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)
    pods: Sequence[Object] = ()

    @property
    def handle(self) -> str:
        """Of the run."""
        return name_of(self.ray_job)

    def start(self) -> None:
        """Begin to listen. Who asks by itself again needs no second clock, nor second words."""
        patience = self.cluster.patience
        connection = Connection(self._note, patience, self.lost_after_s, self.forgetful_s)
        self.cluster = Cluster(self.cluster.access, patience.hasty)
        for listen in (self._to_run, self._to_pods, self._to_log):
            work = partial(self._guarded, partial(listen, connection))
            Thread(target=work, daemon=True, name=f"pricon{listen.__name__}").start()

    def _note(self, text: str) -> None:
        self.heard.put(Note(text=text))

    def _guarded(self, listen: Callable[[], None]) -> None:
        """An error of a thread is raised where the run is followed."""
        try:
            listen()
        except Exception as err:  # a thread that ends without a word would be waited for
            self.heard.put(err)

    def _to_run(self, connection: Connection) -> None:
        selection = {"fieldSelector": f"metadata.name={self.handle}"}
        for found in snapshots(self.cluster, RAY_JOBS, selection, connection, self.stop):
            self.heard.put(RunSeen(found.get(self.handle)))

    def _to_pods(self, connection: Connection) -> None:
        selection = {"labelSelector": f"{RUN_LABEL}={self.handle}"}
        for found in snapshots(self.cluster, PODS, selection, connection, self.stop):
            self.pods = [*found.values()]
            self.heard.put(PodsSeen(self.pods))

    def _to_log(self, connection: Connection) -> None:
        """The log of each submitter pod; KubeRay makes a new one for each retry."""
        read: set[str] = set()
        while not self.stop.is_set():
            pods = self._submitters()
            fresh = [pod for pod in pods if pod["metadata"]["uid"] not in read and has_started(pod)]
            if not fresh:
                if self.ended.is_set():
                    self.heard.put(LogRead())
                    return
                self.stop.wait(self.tick_s)
                continue
            self._read(PodLog(self.cluster, fresh[0]), connection)
            read.add(fresh[0]["metadata"]["uid"])

    def _submitters(self) -> list[Object]:
        return submitter_pods(since(self.ray_job, self.pods), self.handle)

    def _read(self, log: PodLog, connection: Connection) -> None:
        is_told = False
        while True:
            try:
                for text in log.follow(self.stop, partial(connection.works, _LOG)):
                    is_told = False
                    self.heard.put(LogLine(text=text))
            except UnreadableLogError as err:
                connection.works(_LOG)  # its node is what does not; no word about other requests
                if not is_told:
                    is_told = True
                    self._note(f"{err.message}; trying again")
                if any(pod["metadata"]["uid"] != log.uid for pod in self._submitters()[-1:]):
                    return  # a lost node keeps its pod for minutes, and the run has gone on
                self.stop.wait(self.cluster.patience.most_s)
            except UnansweredError as err:
                self.stop.wait(connection.failed(_LOG, err))
            except RefusedError as err:
                self.stop.wait(connection.refused(_LOG, err))
            else:
                return
