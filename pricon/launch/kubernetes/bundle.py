"""A run in one file, for whoever must help: objects, events, logs, and what of them is missing.

What cannot be read fails nothing: it is named in `troubles.txt`. It asks only for what the
submitter's role of the chart allows, and waits for nothing long: once the run is found, everything
is tried twice at most.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TypeVar

from pricon.errors import LaunchError, PriconError
from pricon.launch.environment import environment
from pricon.launch.kubernetes.archive import Archive, check_free, new_archive
from pricon.launch.kubernetes.client import CONFIG_MAPS, PODS, RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.container_logs import ContainerLog, container_logs, copy_end
from pricon.launch.kubernetes.driver_log import DriverLog, driver_log
from pricon.launch.kubernetes.following import find_events
from pricon.launch.kubernetes.pods import by_role, since, when
from pricon.launch.kubernetes.rayjob import RUN_LABEL
from pricon.launch.kubernetes.redaction import redacted
from pricon.launch.kubernetes.runs import ENDED, get_run, state_of
from pricon.launch.kubernetes.status import status_of

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken of one log, from its end.

    Args:
        lines: that the API server is asked for.
        num_bytes: of these. Nodes keep 10 MB of a log where nobody has set them up otherwise, so
            mostly a log is whole.
    """

    lines: int = 200_000
    num_bytes: int = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a file is missing, or what one must know of it.

    Args:
        file: its name in the bundle.
        message: what happened.
    """

    file: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What was written.

    Args:
        file: the archive.
        names: of the files in it.
        troubles: what `troubles.txt` says.
        origin: a sentence for a driver's log that does not come from the cluster, or None.
    """

    file: Path
    names: Sequence[str]
    troubles: Sequence[Trouble]
    origin: str | None

    @property
    def missing(self) -> set[str]:
        """Names of files that could not be read."""
        return {trouble.file for trouble in self.troubles} - {*self.names}


def write_bundle(
    cluster: Cluster, run: str, file: Path, tracking: str | None, limits: Limits | None = None
) -> Bundle:
    """Write what can be read of a run; of one that the cluster has forgotten, its driver's log.

    Args:
        cluster: where it is.
        run: its handle; the folder inside the archive, too.
        file: the archive.
        tracking: where this user reaches an MLflow, besides that of the cluster's profile.
        limits: of logs.

    Raises:
        SpecError: the file is there already, or cannot be written.
        LaunchError: there is neither such a run nor a log of it, or the API server refuses or does
            not answer when it is asked for the run.
    """
    check_free(file)
    ray_job = cluster.get(RAY_JOBS, run)
    hasty = Cluster(cluster.access, cluster.patience.hasty)
    forgotten = _forgotten(hasty, run, tracking) if ray_job is None else None
    with new_archive(file, run) as archive:
        contents = _Contents(hasty, archive, limits or Limits())
        if ray_job is not None:
            contents.add_objects(ray_job, run)
            contents.add_driver_log(lambda: driver_log(hasty, run, ray_job, tracking), ray_job)
            contents.add_container_logs()
        elif forgotten is not None:
            contents.add_driver_log(lambda: forgotten)
        contents.add_versions()
        contents.add_troubles()
    return Bundle(
        file=file, names=archive.names, troubles=contents.troubles, origin=contents.origin
    )


def _forgotten(cluster: Cluster, run: str, tracking: str | None) -> DriverLog:
    log = driver_log(cluster, run, None, tracking)
    if not log.lines:
        for note in log.notes:
            _LOG.warning("%s", note)
        get_run(cluster, run)  # says that there is none
    return log


class _Contents:
    """Fills an archive, and remembers what went wrong."""

    def __init__(self, cluster: Cluster, archive: Archive, limits: Limits) -> None:
        self._cluster = cluster
        self._archive = archive
        self._limits = limits
        self._pods: list[Object] = []
        self.troubles: list[Trouble] = []
        self.origin: str | None = None

    def add_objects(self, ray_job: Object, run: str) -> None:
        """Everything but logs."""
        self._add_json("status.json", lambda: status_of(self._cluster, run).to_dict())
        self._add_json("rayjob.json", lambda: ray_job)
        self._add_json("config.json", lambda: self._config_map(run))
        labels = f"{RUN_LABEL}={run}"
        pods = self._read("pods.json", lambda: since(ray_job, self._cluster.find(PODS, labels)))
        if pods is not None:
            self._pods = by_role(pods)
            self._add_json("pods.json", lambda: _list(self._pods))
        self._add_json(
            "events.json",
            lambda: _list(sorted(find_events(self._cluster, ray_job), key=when)),
        )

    def add_driver_log(self, read: Callable[[], DriverLog], ray_job: Object | None = None) -> None:
        """What the driver said, as it said it: bulletins are lines of JSON."""
        name = "driver.log"
        log = self._read(name, read)
        if log is None:
            return
        for trouble in log.troubles:
            self._trouble(name, trouble)
        if log.origin is not None:
            self.origin = log.origin
            self.troubles.append(Trouble(file=name, message=log.origin))
        if log.lines:
            with self._archive.open() as file:
                file.writelines(f"{line}\n".encode() for line in log.lines)
                self._add_end(name, file, is_cut=False)
        elif ray_job is not None and state_of(ray_job) in ENDED and not log.troubles:
            self.troubles.append(Trouble(file=name, message="the run has ended, its log is gone"))

    def add_container_logs(self) -> None:
        """The end of every log that the pods have."""
        for pod in self._pods:
            for log in container_logs(pod):
                self._add_container_log(log)

    def add_versions(self) -> None:
        """What this was made with, where and when."""
        versions = {
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "namespace": self._cluster.namespace,
            "api_server": self._read("versions.json", self._cluster.version),
            "laptop": environment(),
        }
        self._archive.add("versions.json", _json(versions))

    def add_troubles(self) -> None:
        """What is missing and why; nothing where all is there."""
        if self.troubles:
            text = "\n".join(f"{trouble.file}: {trouble.message}" for trouble in self.troubles)
            self._archive.add("troubles.txt", f"{text}\n".encode())

    def _config_map(self, run: str) -> Object:
        found = self._cluster.get(CONFIG_MAPS, run)
        if found is None:
            raise LaunchError(f"there is no ConfigMap `{run}`")
        return found

    def _add_container_log(self, log: ContainerLog) -> None:
        with self._archive.open() as file:
            is_cut = self._read(
                log.file, lambda: copy_end(self._cluster, log, file, self._limits.lines)
            )
            if is_cut is not None or file.tell():  # what came before a connection broke
                self._add_end(log.file, file, is_cut=bool(is_cut))

    def _add_end(self, name: str, file: IO[bytes], *, is_cut: bool) -> None:
        if self._archive.add_end(name, file, self._limits.num_bytes):
            size = f"{self._limits.num_bytes / 1e6:g} MB"
            self.troubles.append(Trouble(file=name, message=f"only the last {size} of it are here"))
        elif is_cut:
            message = f"only its last {self._limits.lines} lines are here, if there are more"
            self.troubles.append(Trouble(file=name, message=message))

    def _add_json(self, name: str, read: Callable[[], Object]) -> None:
        found = self._read(name, read)
        if found is not None:
            self._archive.add(name, _json(redacted(found)))

    def _read(self, name: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except PriconError as err:
            self._trouble(name, err)
            return None

    def _trouble(self, name: str, error: PriconError) -> None:
        """Its message without the hint, which is for those who can try again."""
        self.troubles.append(Trouble(file=name, message=error.message))


def _list(found: Iterable[Object]) -> Object:
    """As `kubectl get --output json` has it."""
    return {"apiVersion": "v1", "kind": "List", "items": [*found]}


def _json(body: Object) -> bytes:
    return f"{json.dumps(body, indent=2)}\n".encode()
