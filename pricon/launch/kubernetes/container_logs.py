"""The logs of all containers of a pod: which there are, and their last lines. No judgement."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.pods import containers, name_of
from pricon.launch.kubernetes.refusals import BrokenStreamError

_TRIES = 2
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLog:
    """One log.

    Args:
        pod: its name.
        container: its name.
        previous: whether it is that of the container before its last restart.
    """

    pod: str
    container: str
    previous: bool = False

    @property
    def file(self) -> str:
        """Path in a folder of many.

        >>> ContainerLog(pod="a-head", container="ray-head", previous=True).file
        'pods/a-head/ray-head.previous.log'
        """
        return f"pods/{self.pod}/{self.container}{'.previous' * self.previous}.log"


def container_logs(pod: Object) -> Iterator[ContainerLog]:
    """Logs of all containers that have started, those that initialise a pod included.

    One that waits to be started again has only its last log: until it runs, a kubelet takes
    `previous` for that one too.
    """
    for status in containers(pod):
        log = ContainerLog(pod=name_of(pod), container=str(status["name"]))
        has_restarted = int(status.get("restartCount") or 0) > 0
        is_there = bool((status.get("state") or {}).keys() & {"running", "terminated"})
        if is_there or has_restarted:
            yield log
        if is_there and has_restarted:
            yield ContainerLog(pod=log.pod, container=log.container, previous=True)


def copy_end(cluster: Cluster, log: ContainerLog, file: IO[bytes], most_lines: int) -> bool:
    """Write the last lines of a log, as they come, each with its time stamp.

    Args:
        cluster: where the pod is.
        log: which one.
        file: an empty one.
        most_lines: to ask for.

    Whatever is raised, the file has what the longest try brought.

    Returns:
        Whether there were as many, so that there may be more before them.

    Raises:
        BrokenStreamError: there is no log (any more), or the connection broke twice.
        LaunchError: the API server refuses, or the node of the pod does not answer.
    """
    for attempt in range(_TRIES):
        start, num_lines = file.tell(), 0
        try:
            for line in cluster.log_end(log.pod, log.container, most_lines, previous=log.previous):
                num_lines += file.write(line) > 0
        except BrokenStreamError:
            if file.tell() - start > start:
                _drop_before(file, start)
            else:
                file.truncate(file.seek(start))
            if attempt == _TRIES - 1:
                raise
            cluster.patience.pause(attempt)
        else:
            _drop_before(file, start)
            return num_lines >= most_lines
    raise AssertionError("every loop ends above")


def _drop_before(file: IO[bytes], start: int) -> None:
    """Move what comes after a position to the beginning: a try that is better than those before."""
    if not start:
        return
    size = 0
    file.seek(start)
    while piece := file.read(_PIECE_BYTES):
        file.seek(size)
        size += file.write(piece)
        file.seek(start + size)
    file.truncate(file.seek(size))
