"""The log of one pod, each line once, over any number of broken connections.

A line is known by its time stamp and text. Reading goes on a second before the last line, and what
was read since then is left out once.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from threading import Event

from pricon.launch.kubernetes.client import PODS, Cluster, Object
from pricon.launch.kubernetes.refusals import BrokenStreamError

SUBMITTER = "ray-job-submitter"
"""Container in which KubeRay's submitter pod prints what the driver says."""

SUBMITTER_LABEL = "batch.kubernetes.io/job-name"
"""Label of the pods of a Kubernetes Job; KubeRay names the Job like the RayJob."""

_OVERLAP_S = 1


class Cursor:
    """Where reading goes on, and what not to read again."""

    def __init__(self) -> None:
        self._latest: int | None = None
        self._recent: deque[tuple[int, bytes]] = deque()
        self._again: Counter[bytes] = Counter()

    def reopen(self) -> str | None:
        """From when to ask for lines, as RFC 3339; None is from the beginning."""
        self._again = Counter(line for _, line in self._recent)
        if self._latest is None:
            return None
        since = datetime.fromtimestamp(self._latest - _OVERLAP_S, UTC)
        return since.strftime("%Y-%m-%dT%H:%M:%SZ")

    def take(self, line: bytes) -> str | None:
        """Text of a line without its time stamp; None where it was read before."""
        line = line.rstrip(b"\r\n")
        stamp, _, text = line.partition(b" ")
        try:
            second = int(datetime.fromisoformat(stamp.decode()).timestamp())
        except ValueError:  # no time stamp, so nobody can tell
            return line.decode("utf-8", "replace")
        if self._again[line] > 0:
            self._again[line] -= 1
            return None
        if self._latest is not None and second < self._latest - _OVERLAP_S:
            return None  # some runtimes send everything, whatever they are asked for
        self._latest = max(second, self._latest or second)
        self._recent.append((second, line))
        while self._recent[0][0] < self._latest - _OVERLAP_S:
            self._recent.popleft()
        return text.decode("utf-8", "replace")


class PodLog:
    """Reads the log of a pod's container to its end."""

    def __init__(self, cluster: Cluster, pod: Object, container: str = SUBMITTER) -> None:
        self._cluster = cluster
        self._name = str(pod["metadata"]["name"])
        self.uid = str(pod["metadata"]["uid"])
        self._container = container
        self._cursor = Cursor()

    def follow(self, stop: Event, answers: Callable[[], None] = lambda: None) -> Iterator[str]:
        """Lines until the container has ended, or the pod is gone.

        Whatever this raises, it may be called again, and goes on where it was.

        Args:
            stop: ends it early.
            answers: called whenever the API server does, were the log quiet for hours.

        Raises:
            LaunchError: the API server refuses, or does not answer for long.
        """
        while not stop.is_set():
            pod = self._cluster.get(PODS, self._name)
            answers()
            if pod is None or pod["metadata"]["uid"] != self.uid:
                return
            if has_ended(pod, self._container):
                # A stream may have broken before the last lines.
                yield from self.read()
                return
            yield from self._read(follow=True)
            stop.wait(self._cluster.patience.first_s)

    def read(self) -> Iterator[str]:
        """Lines that are there now and were not read before; none where there is no log."""
        yield from self._read(follow=False)

    def _read(self, *, follow: bool) -> Iterator[str]:
        """Lines of one connection, until it ends in whatever way."""
        try:
            for line in self._cluster.log(
                self._name, self._container, self._cursor.reopen(), follow=follow
            ):
                if follow and not line.endswith(b"\n"):
                    return  # cut in its middle: the next connection brings it whole
                text = self._cursor.take(line)
                if text is not None:
                    yield text
        except BrokenStreamError:
            return


def submitter_pods(pods: Iterable[Object], handle: str) -> list[Object]:
    """Pods that KubeRay started to submit the driver of a run, the oldest first."""
    found = [
        pod for pod in pods if (pod["metadata"].get("labels") or {}).get(SUBMITTER_LABEL) == handle
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def has_started(pod: Object, container: str = SUBMITTER) -> bool:
    """Whether a container has run, so that it has a log."""
    return bool(_state(pod, container).keys() & {"running", "terminated"})


def has_ended(pod: Object, container: str = SUBMITTER) -> bool:
    """Whether a container runs no more."""
    phase = (pod.get("status") or {}).get("phase")
    return "terminated" in _state(pod, container) or phase in {"Succeeded", "Failed"}


def _state(pod: Object, container: str) -> Object:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((entry["state"] for entry in statuses if entry["name"] == container), {})
