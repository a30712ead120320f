"""Submissions to a cluster: create a run, attach to it, put a new one in its place, or cancel it.

A run's handle holds a hash of what its job asks for, so two submissions of a job are one run,
whoever makes them and however often.
"""

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import CONFIG_MAPS, RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.ending import is_final
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.request import Kind
from pricon.launch.kubernetes.runs import ENDED, State, get_run, read_log, state_of

_LOG = logging.getLogger(__name__)
SUBMISSION = "pricon.dev/submission"
"""Annotation of a RayJob: one wish to run a job."""

Found = Literal["new", "attached", "finished", "replaced"]
"""What a submission met: nothing; a run under way; a finished one, so that nothing was created; one
that had failed or was stopped, in whose place a new one goes on."""


class Rendered(Protocol):
    """What is sent for a run."""

    @property
    def ray_job(self) -> Mapping[str, Any]:
        """The RayJob."""
        ...

    @property
    def config_map(self) -> Mapping[str, Any]:
        """The ConfigMap that its pods mount."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A submission.

    Args:
        handle: of the run.
        found: what was there.
        ray_job: as the API server has it now.
    """

    handle: str
    found: Found
    ray_job: Object


def check_run(cluster: Cluster, rendered: Rendered) -> None:
    """Let the API server check every key and rule, and store nothing.

    Raises:
        LaunchError: what it refuses.
    """
    cluster.create(RAY_JOBS, dict(rendered.ray_job), dry_run=True)
    cluster.create(CONFIG_MAPS, dict(rendered.config_map), dry_run=True)


def submit_run(cluster: Cluster, rendered: Rendered, *, rerun: bool = False) -> Submitted:
    """Have the run go on, whatever there is of it: create, attach, replace, or leave it finished.

    The RayJob comes first, its ConfigMap, which it owns, second: pods wait for a ConfigMap, while
    one without an owner would stay forever. Where the second step fails, the first is undone; where
    this process dies in between, the next submission takes the second step.

    Args:
        cluster: where.
        rendered: RayJob and ConfigMap, of one name.
        rerun: replace a run that has finished as well.

    Raises:
        LaunchError: the API server refuses it, or an old run does not go away.
    """
    handle = name_of(dict(rendered.ray_job))
    found: Found = "new"
    while True:
        ray_job = cluster.create(RAY_JOBS, dict(rendered.ray_job))
        if ray_job is not None:
            _complete_or_undo(cluster, rendered, ray_job)
            return Submitted(handle=handle, found=found, ray_job=ray_job)
        ray_job = cluster.get(RAY_JOBS, handle)
        if ray_job is None:  # removed in this moment
            time.sleep(cluster.patience.first_s)
            continue
        if "deletionTimestamp" not in ray_job["metadata"]:
            what = _look_at(cluster, rendered, ray_job)
            if what in {"new", "attached"}:
                _give_config(cluster, rendered, ray_job)
                # New: an answer was lost, and asking again met our own.
                return Submitted(
                    handle=handle, found=found if what == "new" else what, ray_job=ray_job
                )
            if what == "finished" and not rerun:
                return Submitted(handle=handle, found=what, ray_job=ray_job)
        _remove(cluster, ray_job)
        found = "replaced"


def cancel_run(cluster: Cluster, handle: str) -> State:
    """Delete a run that has not ended; its state before.

    KubeRay stops the driver first, which closes what it records. Finished trials stay in storage.

    Raises:
        LaunchError: there is no such run, or it does not go away.
    """
    ray_job = get_run(cluster, handle)
    state = state_of(ray_job)
    if state not in ENDED:
        _remove(cluster, ray_job)
    return state


def _look_at(cluster: Cluster, rendered: Rendered, there: Object) -> Found:
    """What to make of a run that is there; what its driver said counts more than what Ray says."""
    state = state_of(there)
    asked = submission_of(rendered.ray_job)
    if asked is not None and asked == submission_of(there) and state not in ENDED:
        return "new"
    end = read_log(cluster, there).end
    is_wrong = end is not None and end.exit_code != 0
    if state not in ENDED:
        return "replaced" if is_wrong and is_final(end) else "attached"
    return "finished" if state == "finished" and not is_wrong else "replaced"


def submission_of(ray_job: Mapping[str, Any]) -> str | None:
    """Identity of the submission that made a RayJob; None where nothing says it."""
    notes = ray_job["metadata"].get("annotations") or {}
    return None if SUBMISSION not in notes else str(notes[SUBMISSION])


def _complete_or_undo(cluster: Cluster, rendered: Rendered, ray_job: Object) -> None:
    """The second step of a new run."""
    try:
        _give_config(cluster, rendered, ray_job)
    except BaseException:
        with contextlib.suppress(LaunchError):  # the first error is the one to show
            cluster.delete(RAY_JOBS, name_of(ray_job), ray_job["metadata"]["uid"])
        raise


def _give_config(cluster: Cluster, rendered: Rendered, ray_job: Object) -> None:
    """Create the ConfigMap of a run, owned by its RayJob, where it is not there."""
    name, uid = name_of(ray_job), ray_job["metadata"]["uid"]
    owner = {
        "apiVersion": ray_job["apiVersion"],
        "kind": ray_job["kind"],
        "name": name,
        "uid": uid,
    }
    body = dict(rendered.config_map)
    body["metadata"] = {**body["metadata"], "ownerReferences": [owner]}
    while cluster.create(CONFIG_MAPS, body) is None:
        there = cluster.get(CONFIG_MAPS, name)
        if there is None:
            continue
        owners = there["metadata"].get("ownerReferences") or []
        if any(entry["uid"] == uid for entry in owners):
            return
        # That of a run before this one, which the garbage collector has not met yet.
        cluster.delete(CONFIG_MAPS, name, there["metadata"]["uid"])
        _await_absence(cluster, CONFIG_MAPS, there)


def _remove(cluster: Cluster, ray_job: Object) -> None:
    cluster.delete(RAY_JOBS, name_of(ray_job), ray_job["metadata"]["uid"])
    _await_absence(cluster, RAY_JOBS, ray_job)


def _await_absence(cluster: Cluster, kind: Kind, deleted: Object) -> None:
    name, uid = name_of(deleted), deleted["metadata"]["uid"]
    since, is_told = time.monotonic(), False
    while True:
        there = cluster.get(kind, name)
        if there is None or there["metadata"]["uid"] != uid:
            return
        waited_s = time.monotonic() - since
        if waited_s > cluster.patience.gone_s:
            raise LaunchError(
                f"{kind.word} `{name}` was deleted and does not go away",
                f"is the KubeRay operator running? `kubectl --namespace {cluster.namespace} "
                f"describe {kind.plural} {name}` shows what holds it",
            )
        if not is_told and waited_s > cluster.patience.silent_s:
            _LOG.warning("waiting for %s `%s` to go away, with all that it owns", kind.word, name)
            is_told = True
        time.sleep(cluster.patience.first_s)
