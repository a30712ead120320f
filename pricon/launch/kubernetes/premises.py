"""What a cluster's owner prepared, held against the profile.

Pods of the chart, secrets, accounts and queues that the profile names; `pools` has pools and nodes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from pricon.errors import PriconError
from pricon.launch.kubernetes.client import PODS, Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.pods import condition, name_of, phase_of, waits
from pricon.launch.kubernetes.pools import examine_pool
from pricon.launch.kubernetes.refusals import ForbiddenError, UnknownKindError
from pricon.launch.kubernetes.request import Kind
from pricon.spec.profile import ClusterProfile

NODES = Kind(api="api/v1", plural="nodes", word="node", is_namespaced=False)
NAMESPACES = Kind(api="api/v1", plural="namespaces", word="namespace", is_namespaced=False)
SECRETS = Kind(api="api/v1", plural="secrets", word="secret")
ACCOUNTS = Kind(api="api/v1", plural="serviceaccounts", word="service account")
QUEUES = Kind(api="apis/kueue.x-k8s.io/v1beta2", plural="localqueues", word="LocalQueue")
PRIORITIES = Kind(
    api="apis/scheduling.k8s.io/v1", plural="priorityclasses", word="PriorityClass",
    is_namespaced=False,
)  # fmt: skip
RUNTIMES = Kind(
    api="apis/node.k8s.io/v1", plural="runtimeclasses", word="RuntimeClass", is_namespaced=False
)
_ENDED = {"Succeeded", "Failed"}
"""Phases of pods that have another in their place: an evicted one stays for a while."""
_ANSWERS_S = 3.0
_ENFORCED = "pod-security.kubernetes.io/enforce"


def premises(
    cluster: Cluster,
    profile: ClusterProfile,
    *,
    has_kuberay: bool = True,
    is_denied: bool = False,
) -> Iterator[Finding]:
    """What is found of all that runs need, from images to nodes.

    What this user may not look at is named at the end.

    Args:
        cluster: the namespace that runs go to.
        profile: of the cluster.
        has_kuberay: whether the API server can be asked about runs.
        is_denied: whether it was said already that this user may not send any.
    """
    yield _image(profile)
    unseen: list[str] = []
    nodes: list[Object] = []
    try:
        nodes = cluster.find(NODES)
        if not nodes:
            yield Finding(check="nodes", verdict="note", text="there are none yet")
    except ForbiddenError:
        unseen.append("nodes")
    except PriconError as err:
        yield Finding.of_error("nodes", err)
    for name in profile.pools:
        is_sent = has_kuberay and not is_denied
        yield from examine_pool(cluster, profile, name, nodes, is_sent=is_sent)
    tracking = None if profile.tracking is None else profile.tracking.uri
    looks: dict[str, Callable[[], Iterable[Finding]]] = {
        "tracking": partial(_pods, cluster, "tracking", tracking),
        "object-store": partial(_pods, cluster, "object-store", profile.storage.endpoint_url),
        "MLflow": partial(_address, profile),
        **{kind.plural: partial(_there, cluster, kind, named) for kind, named in _named(profile)},
        "namespace": partial(_security, cluster),
    }
    for name, look in looks.items():
        try:
            yield from look()
        except ForbiddenError:
            unseen.append(name)
        except PriconError as err:
            yield Finding.of_error(name, err)
    if unseen:
        text = f"{', '.join(unseen)}: only the cluster's owner may look at these"
        yield Finding(check="not seen", verdict="note", text=text)


def _image(profile: ClusterProfile) -> Finding:
    text = f"pricon {profile.version} in {profile.image}"
    if "@sha256:" in profile.image:
        return Finding(check="profile", verdict="ok", text=text)
    return Finding(
        check="profile",
        verdict="note",
        text=f"{text}: a tag, which may come to mean another image",
        hint="`deploy/build.sh` prints the reference by digest, for `profile.image` of the values",
    )


def _pods(cluster: Cluster, component: str, address: str | None) -> Iterator[Finding]:
    """What the chart keeps running: all of its pods that have not ended are ready."""
    labels = f"app.kubernetes.io/name=pricon,app.kubernetes.io/component={component}"
    alive = [
        pod
        for pod in cluster.find(PODS, labels)
        if phase_of(pod) not in _ENDED and "deletionTimestamp" not in pod["metadata"]
    ]
    found = [_readiness(cluster, component, pod) for pod in alive]
    serves = any(one.verdict == "ok" for one in found)  # the others may be of an upgrade
    yield from (replace(one, verdict="note") if serves and one.hint else one for one in found)
    host = "" if address is None else urlsplit(address).hostname or ""
    if not alive and f"{host}.".partition(".")[2].startswith(f"{cluster.namespace}.svc."):
        yield Finding(
            check=component,
            verdict="note",
            text=f"no pod of the chart runs behind {address}, which the profile names",
            hint="fine where it is a server of your own; else `kubectl --namespace "
            f"{cluster.namespace} get deployments,statefulsets,events` says why: scaled to 0, a "
            "quota, a policy",
        )


def _readiness(cluster: Cluster, component: str, pod: Object) -> Finding:
    name = name_of(pod)
    if condition(pod, "Ready").get("status") == "True":
        return Finding(check=component, verdict="ok", text=f"pod `{name}` is ready")
    why = next(filter(None, _reasons(pod)), "")
    return Finding(
        check=component,
        verdict="wrong",
        text=f"pod `{name}` is not ready{': ' if why else ''}{why}",
        hint=f"`kubectl --namespace {cluster.namespace} describe pod {name}` says more; the "
        "last part of deploy/README.md has the usual causes",
    )


def _reasons(pod: Object) -> Iterator[str]:
    """Why a pod is not ready, the most telling first; some are empty."""
    for container, *words in waits(pod):
        last = ((container.get("lastState") or {}).get("terminated") or {}).get("reason")
        before = f" (before, it ended as {last})" if last else ""
        yield ": ".join(filter(None, words)) + before
    yield str(condition(pod, "PodScheduled").get("message") or "")
    yield str((pod.get("status") or {}).get("message") or "")
    yield str(condition(pod, "Ready").get("message") or "")


def _address(profile: ClusterProfile) -> Iterator[Finding]:
    """Whether people reach MLflow from here, without a proxy. Pods have an address of their own."""
    address = None if profile.tracking is None else profile.tracking.public_url
    if address is None:
        return
    try:
        limits = urllib3.Timeout(connect=_ANSWERS_S, read=_ANSWERS_S)
        pool = urllib3.PoolManager(timeout=limits, retries=False)
        answer = pool.request("GET", f"{address.rstrip('/')}/health", preload_content=False)
        status = answer.status
        answer.close()  # whatever it has to say
        why = "" if status == 200 else f"is not healthy: status {status}"
        if 300 <= status < 400:
            why = "leads elsewhere, perhaps to a login"
    except HTTPError as err:
        why = f"does not answer from here: {type(err).__name__}"
    if not why:
        yield Finding(check="MLflow", verdict="ok", text=f"{address} answers")
        return
    yield Finding(
        check="MLflow",
        verdict="note",
        text=f"{address} {why}",
        hint="is a VPN needed, or a proxy? Runs do not depend on it: pods reach MLflow by another "
        "address",
    )


def _named(profile: ClusterProfile) -> Iterator[tuple[Kind, Mapping[str, str | None]]]:
    """What the profile names, by its keys."""
    tracking = None if profile.tracking is None else profile.tracking.secret_name
    secrets = {
        "storage.secretName": profile.storage.secret_name,
        "tracking.secretName": tracking,
        **{f"imagePullSecrets[{i}]": name for i, name in enumerate(profile.image_pull_secrets)},
    }
    yield SECRETS, secrets
    yield ACCOUNTS, {"serviceAccount": profile.service_account}
    yield QUEUES, {"queue": profile.queue}
    yield PRIORITIES, {"priorityClass": profile.priority_class}
    classes = {f"pools.{name}": pool.runtime_class_name for name, pool in profile.pools.items()}
    yield RUNTIMES, {f"{key}.runtimeClassName": name for key, name in classes.items()}


def _there(cluster: Cluster, kind: Kind, named: Mapping[str, str | None]) -> Iterator[Finding]:
    """Whether there is an object of each name. Of secrets no data is asked for."""
    found = []
    for key, name in named.items():
        if name is None:
            continue
        try:
            is_there = cluster.exists(kind, name)
        except UnknownKindError:
            yield Finding(
                check=kind.plural,
                verdict="wrong",
                text=f"the cluster has no {kind.word}s of {kind.api.removeprefix('apis/')}, and "
                f"`{key}` of the profile names `{name}`",
                hint="the cluster's owner installs what serves them, in this version, or takes "
                f"`{key}` out of the values",
            )
            continue
        if is_there:
            found.append(f"`{name}`")
            continue
        yield Finding(
            check=kind.plural,
            verdict="wrong",
            text=f"there is no {kind.word} `{name}`, which `{key}` of the profile names",
            hint="the cluster's owner makes it (deploy/README.md), or names another in the values",
        )
    if found:
        verb = "is" if len(found) == 1 else "are"
        yield Finding(check=kind.plural, verdict="ok", text=f"{', '.join(found)} {verb} there")


def _security(cluster: Cluster) -> Iterator[Finding]:
    space = cluster.get(NAMESPACES, cluster.namespace) or {}
    level = ((space.get("metadata") or {}).get("labels") or {}).get(_ENFORCED)
    if level == "restricted":
        text = f"Pod Security `{level}` is enforced"
        yield Finding(check="namespace", verdict="ok", text=text)
        return
    is_set = f"Pod Security `{level}` is enforced" if level else "no level of Pod Security is set"
    yield Finding(
        check="namespace",
        verdict="note",
        text=f"{is_set}, and pods of pricon pass `restricted`",
        hint=f"`kubectl label namespace {cluster.namespace} {_ENFORCED}=restricted` keeps others "
        "out that want more",
    )
