"""Whether a namespace is ready for runs: check by check, with whatever rights one has.

A submitter learns whether a run would be accepted. Nodes, secrets and accounts are the cluster's
owner's to look at; who may not is told that nobody looked.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from pricon.errors import LaunchError, PriconError
from pricon.launch.kubernetes.client import CONFIG_MAPS, EVENTS, PODS, RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.installation import PROFILE, read_profile
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.premises import NAMESPACES, premises
from pricon.launch.kubernetes.refusals import (
    ForbiddenError,
    StrangerError,
    UnansweredError,
    UnknownKindError,
    UnknownUserError,
)
from pricon.launch.kubernetes.request import Kind
from pricon.launch.kubernetes.runs import list_runs

OLDEST, NEWEST = (1, 32), (1, 37)
"""Versions of Kubernetes that the chart is for."""

NEEDED: tuple[tuple[Kind, str, tuple[str, ...]], ...] = (
    (RAY_JOBS, "", ("create", "get", "list", "watch", "delete")),
    (CONFIG_MAPS, "", ("create", "get", "delete")),
    (PODS, "", ("get", "list", "watch")),
    (PODS, "log", ("get",)),
    (EVENTS, "", ("list",)),
)
"""What pricon asks for: kind, part, verbs. The chart's role of submitters allows just this."""

_REVIEWS = Kind(
    api="apis/authorization.k8s.io/v1", plural="selfsubjectaccessreviews", word="access review",
    is_namespaced=False,
)  # fmt: skip
_IDLE_S = 600
"""An operator that works gives a RayJob a status within seconds; clocks may differ by minutes."""

Check = Callable[[Cluster], Iterable[Finding]]


def examine(cluster: Cluster, profile_name: str = PROFILE) -> Iterator[Finding]:
    """What is found, in the order in which one thing needs another.

    Ends early where nothing more could be found: no answer, no access, no profile.

    Args:
        cluster: the namespace that runs go to.
        profile_name: ConfigMap of the cluster profile.
    """
    checks: dict[str, Check] = {
        "API server": _version,
        "permissions": _permissions,
        "KubeRay": _kuberay,
    }
    has_kuberay, is_denied = True, False
    for name, check in checks.items():
        try:
            for finding in check(cluster):
                is_denied |= name == "permissions" and finding.verdict == "wrong"
                yield finding
        except PriconError as err:
            if not (is_denied and isinstance(err, ForbiddenError)):  # that was said
                yield Finding.of_error(name, err)
            if isinstance(err, UnansweredError | UnknownUserError | StrangerError):
                return
            has_kuberay &= not isinstance(err, UnknownKindError)
    try:
        profile = read_profile(cluster, profile_name)
    except PriconError as err:
        if _is_nowhere(cluster):
            yield _no_namespace(cluster)
        elif not (is_denied and isinstance(err, ForbiddenError)):
            yield Finding.of_error("profile", err)
        return
    yield from premises(cluster, profile, has_kuberay=has_kuberay, is_denied=is_denied)


def _version(cluster: Cluster) -> Iterator[Finding]:
    try:
        said = cluster.version()
    except ForbiddenError:
        text = f"{cluster.access.host} tells nobody like you which version of Kubernetes it is"
        yield Finding(check="API server", verdict="note", text=text)
        return
    text = f"{cluster.access.host}, Kubernetes {said}"
    found = re.match(r"v?(\d+)\.(\d+)", said)
    if found is None:
        raise StrangerError(
            f"{cluster.access.host} does not say which version of Kubernetes it is",
            "is there a proxy in between? `kubectl version` asks the same server",
        )
    version = int(found[1]), int(found[2])
    made_for = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    if OLDEST <= version <= NEWEST:
        yield Finding(check="API server", verdict="ok", text=text)
    elif version > NEWEST:
        text += f", newer than what the chart is for ({made_for})"
        yield Finding(check="API server", verdict="note", text=text)
    else:
        text += f", older than what the chart is for ({made_for})"
        hint = "the cluster's owner upgrades Kubernetes"
        yield Finding(check="API server", verdict="wrong", text=text, hint=hint)


def _permissions(cluster: Cluster) -> Iterator[Finding]:
    asked = [(kind, part, verb) for kind, part, verbs in NEEDED for verb in verbs]
    try:
        denied = [
            f"{verb} {'/'.join(filter(None, (kind.plural, part)))}"
            for kind, part, verb in asked
            if not _may(cluster, verb, kind, part)
        ]
    except ForbiddenError:
        text = "the API server tells nobody like you what he may do; what fails is told below"
        yield Finding(check="permissions", verdict="note", text=text)
        return
    space = f"in namespace `{cluster.namespace}`"
    if not denied:
        text = f"all {len(asked)} that sending and following runs takes, {space}"
        yield Finding(check="permissions", verdict="ok", text=text)
        return
    yield Finding(
        check="permissions",
        verdict="wrong",
        text=f"you may not {', '.join(denied)} {space}",
        hint="is the namespace right? `--namespace` names another. Else the cluster's owner adds "
        "you to `submitters` of the chart's values and runs `helm upgrade`",
    )


def _may(cluster: Cluster, verb: str, kind: Kind, part: str) -> bool:
    """Whether the API server would let this user.

    Raises:
        LaunchError: it cannot say.
    """
    attributes = {
        "namespace": cluster.namespace, "verb": verb, "group": kind.group, "resource": kind.plural,
        **({"subresource": part} if part else {}),
    }  # fmt: skip
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    status: Object = (cluster.create(_REVIEWS, body) or {}).get("status") or {}
    if not status.get("allowed") and status.get("evaluationError"):
        raise LaunchError(
            f"the API server cannot say what you may do: {status['evaluationError']}",
            "ask the cluster's owner; what decides on permissions has trouble of its own",
        )
    return bool(status.get("allowed"))


def _kuberay(cluster: Cluster) -> Iterator[Finding]:
    runs = list_runs(cluster)
    idle = [run for run in runs if not run.get("status") and _age_s(run) > _IDLE_S]
    if not idle:
        known = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
        yield Finding(check="KubeRay", verdict="ok", text=f"RayJobs are known; {known} here")
        return
    yield Finding(
        check="KubeRay",
        verdict="wrong",
        text=f"nobody looks at RayJobs: run `{name_of(idle[-1])}` has had no status since "
        f"{idle[-1]['metadata']['creationTimestamp']}",
        hint="is the KubeRay operator running, and watching this namespace? `kubectl get pods "
        "--all-namespaces --selector app.kubernetes.io/name=kuberay-operator` shows it",
    )


def _is_nowhere(cluster: Cluster) -> bool:
    """Whether the namespace does not exist, as far as this user may know."""
    try:
        return not cluster.exists(NAMESPACES, cluster.namespace)
    except PriconError:
        return False


def _no_namespace(cluster: Cluster) -> Finding:
    return Finding(
        check="namespace",
        verdict="wrong",
        text=f"there is no namespace `{cluster.namespace}`",
        hint="is it misspelt? `--namespace` takes another, `kubectl get namespaces` lists them, "
        "and deploy/README.md says how one is made",
    )


def _age_s(found: Object) -> float:
    created = datetime.fromisoformat(str(found["metadata"]["creationTimestamp"]))
    return (datetime.now(UTC) - created).total_seconds()
