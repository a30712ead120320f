"""Runs as a cluster keeps them. Owns what the status of a RayJob means.

A run's handle is the name of its RayJob, which holds a hash of what the job asks for. So two
submissions of a job are one run, whoever makes them.
"""

import logging
from collections.abc import Iterator
from typing import Literal

from pricon.errors import LaunchError
from pricon.launch.account import Account
from pricon.launch.kubernetes.client import PODS, RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.podlog import SUBMITTER_LABEL, PodLog, has_started, submitter_pods
from pricon.launch.kubernetes.pods import name_of, since
from pricon.launch.kubernetes.refusals import UnansweredError

State = Literal[
    "queued", "starting", "running", "retrying", "stopping", "finished", "failed", "stopped"
]
ENDED: frozenset[State] = frozenset({"finished", "failed", "stopped"})
RUNS = "app.kubernetes.io/name=pricon,app.kubernetes.io/component=run"
_LOG = logging.getLogger(__name__)
OUTPUT = "pricon.dev/output"
"""Annotation of a RayJob: URI of the folder of the job, in which its run has a folder."""


def state_of(ray_job: Object) -> State:
    """The state of a run, from the status that KubeRay writes.

    >>> state_of({"status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}})
    'finished'
    """
    status = ray_job.get("status") or {}
    ended = {"SUCCEEDED": "finished", "STOPPED": "stopped"}
    match status.get("jobDeploymentStatus") or "":
        case "Complete":
            return ended.get(status.get("jobStatus", ""), "failed")  # type: ignore[return-value]
        case "Failed" | "ValidationFailed":
            return "failed"
        case _ if "deletionTimestamp" in ray_job.get("metadata", {}):
            return "stopping"
        case "Running":
            return "running"
        case "Retrying":
            return "retrying"
        case "Suspending" | "Suspended":
            return "queued"
    return "queued" if (ray_job.get("spec") or {}).get("suspend") else "starting"


def get_run(cluster: Cluster, handle: str) -> Object:
    """The RayJob of a run.

    Raises:
        LaunchError: there is none.
    """
    found = cluster.get(RAY_JOBS, handle)
    if found is None:
        raise LaunchError(
            f"there is no run `{handle}` in namespace `{cluster.namespace}`",
            "`pricon list` shows all, `--namespace` looks elsewhere; what a run wrote stays in the "
            "object storage when the cluster has forgotten it",
        )
    return found


def list_runs(cluster: Cluster) -> list[Object]:
    """RayJobs of all runs, the newest first."""
    runs = cluster.find(RAY_JOBS, RUNS)
    return sorted(runs, key=lambda run: str(run["metadata"]["creationTimestamp"]), reverse=True)


def output_of(ray_job: Object) -> str | None:
    """URI of the folder that the run writes into, or None where nothing says it."""
    output = (ray_job["metadata"].get("annotations") or {}).get(OUTPUT)
    return None if output is None else str(output)


def read_log(cluster: Cluster, ray_job: Object) -> Account:
    """What the driver of a run has said so far.

    Empty where there is no log (yet, any more), or, with a warning, where its node does not answer.
    """
    account = Account()
    try:
        for line in log_lines(cluster, ray_job):
            account.take(line)
    except UnansweredError as err:
        _LOG.warning("%s", err.message)
    return account


def log_lines(cluster: Cluster, ray_job: Object) -> Iterator[str]:
    """Lines of the newest driver of a run that are there now; none where there is no log."""
    handle = name_of(ray_job)
    pods = since(ray_job, cluster.find(PODS, f"{SUBMITTER_LABEL}={handle}"))
    for pod in submitter_pods(pods, handle)[-1:]:
        if has_started(pod):
            yield from PodLog(cluster, pod).read()
