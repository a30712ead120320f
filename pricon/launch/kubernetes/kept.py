"""The log of a run where it outlives all pods: in the object storage, and in MLflow."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from pricon.errors import LaunchError, PriconError
from pricon.launch.kubernetes.client import CONFIG_MAPS, Cluster, Object
from pricon.launch.kubernetes.installation import read_profile
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.runs import output_of
from pricon.launch.kubernetes.sending import submission_of
from pricon.spec.load import parse_job
from pricon.storage import open_storage
from pricon.track.kept import kept_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is left of a log.

    Args:
        lines: of the newest attempt; none where nothing was found.
        place: where they were found.
        troubles: why they could not be read from other places.
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
        tracking: where this user reaches MLflow; None is the address in the cluster's profile.
    """
    places: dict[str, Callable[[], Iterator[str]]] = {}
    if ray_job is not None:
        places["the object storage"] = lambda: _stored(cluster, ray_job)
    places["MLflow"] = lambda: _recorded(cluster, handle, tracking)
    troubles = []
    for place, read in places.items():
        try:
            lines = [*read()]
        except PriconError as err:
            troubles.append(err)
            continue
        if lines:
            return Kept(lines=lines, place=place)
    return Kept(troubles=troubles)


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


def _recorded(cluster: Cluster, handle: str, tracking: str | None) -> Iterator[str]:
    """Read as this user of MLflow, which needs no key to the bucket."""
    address = tracking or _public_address(cluster)
    if address is None:
        raise LaunchError(
            "no profile of the cluster has an address of MLflow for people",
            "set MLFLOW_TRACKING_URI to where you reach it (with a port-forward: "
            "http://localhost:5000), MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    yield from kept_log(address, handle) or ()


def _public_address(cluster: Cluster) -> str | None:
    """As the cluster's profile has it, if there still is one that we understand."""
    with suppress(LaunchError):
        tracking = read_profile(cluster).tracking
        return None if tracking is None else tracking.public_url
    return None
