"""The log of a run where it outlives all pods: in the object storage, and in MLflow."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pricon.errors import LaunchError, PriconError
from pricon.launch.kubernetes.client import CONFIG_MAPS, Cluster, Object
from pricon.launch.kubernetes.installation import public_tracking
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.runs import output_of
from pricon.launch.kubernetes.sending import submission_of
from pricon.spec.load import parse_job
from pricon.storage import open_storage
from pricon.track.connect import database_of
from pricon.track.explain import public
from pricon.track.kept import kept_log

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is left of a log.

    Args:
        lines: of the newest attempt; none where nothing was found.
        place: where they were found.
        troubles: why they could not be read from places that were asked before.
    """

    lines: list[str] = field(default_factory=list)
    place: str = ""
    troubles: list[PriconError] = field(default_factory=list)


def kept_of(cluster: Cluster, handle: str, ray_job: Object | None, tracking: str | None) -> Kept:
    """What the driver of a run left behind, from the first place that has it.

    Args:
        cluster: where it ran.
        handle: of the run.
        ray_job: None where the cluster has forgotten it: MLflow alone then knows the handle.
        tracking: where this user reaches an MLflow, besides that of the cluster's profile.
    """
    troubles: list[PriconError] = []
    for place, read in _places(cluster, handle, ray_job, tracking):
        try:
            lines = [*read()]
        except PriconError as err:
            troubles.append(err)
            continue
        if lines:
            return Kept(lines=lines, place=place, troubles=troubles)
    return Kept(troubles=troubles)


def _places(
    cluster: Cluster, handle: str, ray_job: Object | None, tracking: str | None
) -> Iterator[tuple[str, Callable[[], Iterable[str]]]]:
    if ray_job is not None:
        yield "the object storage", partial(_stored, cluster, ray_job)
    # A handle lives on when a run is replaced: the log of a submission before is of another run.
    submission = "" if ray_job is None else submission_of(ray_job) or ""
    if tracking is not None:
        yield _mlflow(tracking), partial(_recorded, tracking, handle, submission)
    try:
        address, trouble = public_tracking(cluster), None
    except PriconError as err:
        address, trouble = None, err
    if address is not None and address != tracking:
        yield _mlflow(address), partial(_recorded, address, handle, submission)
    if address is None and tracking is None:
        yield "MLflow", partial(_nowhere, trouble)


def _mlflow(address: str) -> str:
    return f"MLflow at {public(address)}"


def _stored(cluster: Cluster, ray_job: Object) -> Iterator[str]:
    """Read with this user's own keys to the bucket: a cluster lends nobody its own."""
    config_map = cluster.get(CONFIG_MAPS, name_of(ray_job))
    job = (config_map or {}).get("data", {}).get("job.yaml")
    output, submission = output_of(ray_job), submission_of(ray_job)
    if job is None or output is None or submission is None:
        return
    spec = parse_job(job, f"ConfigMap {name_of(ray_job)}").storage
    folder = open_storage(f"{output}/submissions", spec)
    logs = [name for name in folder.list(f"{submission}.") if name.endswith(".log")]
    if logs:
        newest = max(logs, key=lambda name: int(name.split(".")[-2]))
        yield from folder.read(newest).decode("utf-8", "replace").splitlines()


def _recorded(address: str, handle: str, submission: str) -> list[str]:
    """Read as this user of MLflow, which needs no key to the bucket."""
    if database_of(address) is None:  # a server that is away takes its time
        _LOG.warning("asking %s for the log", _mlflow(address))
    return kept_log(address, handle, submission)


def _nowhere(trouble: PriconError | None) -> Iterable[str]:
    raise trouble or LaunchError(
        "no profile of the cluster has an address of MLflow for people",
        "set MLFLOW_TRACKING_URI to where you reach it (with a port-forward: "
        "http://localhost:5000), MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    )
