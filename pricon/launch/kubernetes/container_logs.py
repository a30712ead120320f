"""The logs of all containers of a pod: which there are, and their last lines. No judgement."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.pods import containers, name_of
from pricon.launch.kubernetes.refusals import BrokenStreamError

_TRIES = 2


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

    One that waits to be started again has its last log, and the one before that as `previous`.
    """
    for status in containers(pod):
        log = ContainerLog(pod=name_of(pod), container=str(status["name"]))
        restarts = int(status.get("restartCount") or 0)
        if restarts or (status.get("state") or {}).keys() & {"running", "terminated"}:
            yield log
        if restarts:
            yield ContainerLog(pod=log.pod, container=log.container, previous=True)


def copy_end(cluster: Cluster, log: ContainerLog, file: IO[bytes], most_lines: int) -> bool:
    """Write the last lines of a log, as they come, each with its time stamp.

    Returns:
        Whether there were as many, so that there may be more before them.

    Raises:
        BrokenStreamError: there is no log (any more), or the connection broke twice; then what came
            over the last is in the file.
        LaunchError: the API server refuses, or the node of the pod does not answer.
    """
    for attempt in range(_TRIES):
        file.seek(0)
        file.truncate()
        num_lines = 0
        try:
            for line in cluster.log_end(log.pod, log.container, most_lines, previous=log.previous):
                num_lines += file.write(line) > 0
            return num_lines >= most_lines
        except BrokenStreamError:
            if attempt == _TRIES - 1:
                raise
            cluster.patience.pause(attempt)
    raise AssertionError("every loop ends above")
