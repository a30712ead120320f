"""What a cluster's owner prepared, held against the profile.

Pools and nodes, pods of the chart, secrets, accounts and queues that the profile names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import urllib3
from urllib3.exceptions import HTTPError

from pricon.errors import PriconError
from pricon.launch.kubernetes.client import PODS, Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.placement import nodes_for, why_none
from pricon.launch.kubernetes.pods import condition, name_of, waits
from pricon.launch.kubernetes.rayjob import render
from pricon.launch.kubernetes.refusals import ForbiddenError
from pricon.launch.kubernetes.request import Kind
from pricon.launch.kubernetes.sending import check_run
from pricon.launch.submission import Submission
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile, PlacementSpec

NODES = Kind(api="api/v1", plural="nodes", word="node", is_namespaced=False)
NAMESPACES = Kind(api="api/v1", plural="namespaces", word="namespace", is_namespaced=False)
SECRETS = Kind(api="api/v1", plural="secrets", word="secret")
ACCOUNTS = Kind(api="api/v1", plural="serviceaccounts", word="service account")
QUEUES = Kind(api="apis/kueue.x-k8s.io/v1beta2", plural="localqueues", word="LocalQueue")
PRIORITIES = Kind(
    api="apis/scheduling.k8s.io/v1", plural="priorityclasses", word="PriorityClass",
    is_namespaced=False,
)  # fmt: skip
_COMPONENTS = ("tracking", "object-store")
"""Of the chart: what runs for long, where it was asked for."""
_ANSWERS_S = 3.0
_ENFORCED = "pod-security.kubernetes.io/enforce"


def premises(
    cluster: Cluster, profile: ClusterProfile, *, has_kuberay: bool = True
) -> Iterator[Finding]:
    """What is found of all that runs need, from images to nodes.

    What this user may not look at is named at the end.

    Args:
        cluster: the namespace that runs go to.
        profile: of the cluster.
        has_kuberay: whether the API server can be asked about runs.
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
    if nodes:
        yield _room("head", "head", profile.head, nodes)
    for name in profile.pools:
        yield from _pool(cluster, profile, name, nodes, is_sent=has_kuberay)
    looks: dict[str, Callable[[], Iterable[Finding]]] = {
        **{name: partial(_pods, cluster, name) for name in _COMPONENTS},
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


def _pool(
    cluster: Cluster, profile: ClusterProfile, name: str, nodes: list[Object], *, is_sent: bool
) -> Iterator[Finding]:
    """The API server's word on a run in a pool, and room for its pods where nodes are seen."""
    check, pool = f"pool {name}", profile.pools[name]
    try:
        rendered = render(_job_in(name), profile, Submission())
        if is_sent:
            check_run(cluster, rendered)
            pods = "1 pod" if pool.max_workers == 1 else f"{pool.max_workers} pods"
            text = f"the API server accepts a run with up to {pods}"
            yield Finding(check=check, verdict="ok", text=text)
    except ForbiddenError:
        pass  # as any other run; what this user may do is told by itself
    except PriconError as err:
        yield Finding.of_error(check, err)
        return
    if nodes:
        yield _room(check, f"pools.{name}", pool, nodes)


def _room(check: str, key: str, place: PlacementSpec, nodes: list[Object]) -> Finding:
    size = f"pods of {place.cpus:g} CPUs, {place.memory}"
    found = nodes_for(place, nodes)
    if found:
        text = f"{size} find room on {len(found)} of {len(nodes)} nodes, when these are empty"
        return Finding(check=check, verdict="ok", text=text)
    reason = why_none(key, place, nodes)
    if reason is not None:
        return Finding(check=check, verdict="wrong", text=reason.sentence, hint=reason.hint)
    labels = ", ".join(f"{label}={value}" for label, value in place.node_selector.items())
    return Finding(
        check=check,
        verdict="note",
        text=f"of {len(nodes)} nodes, none has {labels}",
        hint=f"fine where nodes come when pods wait for them; else `{key}.nodeSelector` of the "
        "profile is wrong",
    )


def _job_in(pool: str) -> JobSpec:
    """A job that is never sent; of its keys only the pool matters."""
    return JobSpec.model_validate(
        {
            "name": "doctor",
            "corpus": {"adapter": "again", "generate": {"participants": 8}},
            "modalities": {"available": ["frames"], "privileged": ["telemetry"]},
            "resources": {"pool": pool, "lanes": 1},
        }
    )


def _pods(cluster: Cluster, component: str) -> Iterator[Finding]:
    labels = f"app.kubernetes.io/name=pricon,app.kubernetes.io/component={component}"
    for pod in cluster.find(PODS, labels):
        name = name_of(pod)
        if condition(pod, "Ready").get("status") == "True":
            yield Finding(check=component, verdict="ok", text=f"pod `{name}` is ready")
            continue
        said = [": ".join(filter(None, words)) for _, *words in waits(pod)]
        said.append(str(condition(pod, "PodScheduled").get("message") or ""))
        why = next(filter(None, said), "")
        yield Finding(
            check=component,
            verdict="wrong",
            text=f"pod `{name}` is not ready{': ' if why else ''}{why}",
            hint=f"`kubectl --namespace {cluster.namespace} describe pod {name}` says more; the "
            "last part of deploy/README.md has the usual causes",
        )


def _address(profile: ClusterProfile) -> Iterator[Finding]:
    """Whether people reach MLflow from here. Pods have an address of their own."""
    address = None if profile.tracking is None else profile.tracking.public_url
    if address is None:
        return
    why = ""
    try:
        limits = urllib3.Timeout(connect=_ANSWERS_S, read=_ANSWERS_S)
        pool = urllib3.PoolManager(timeout=limits, retries=False)
        status = pool.request("GET", f"{address.rstrip('/')}/health").status
        why = "" if status == 200 else f"status {status}"
    except HTTPError as err:
        why = type(err).__name__
    if not why:
        yield Finding(check="MLflow", verdict="ok", text=f"{address} answers")
        return
    yield Finding(
        check="MLflow",
        verdict="note",
        text=f"{address} does not answer from here: {why}",
        hint="is a VPN needed? Runs do not depend on it: pods reach MLflow by another address",
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


def _there(cluster: Cluster, kind: Kind, named: Mapping[str, str | None]) -> Iterator[Finding]:
    """Whether there is an object of each name. Of secrets only that is asked."""
    found = []
    for key, name in named.items():
        if name is None:
            continue
        if cluster.exists(kind, name):
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
    yield Finding(
        check="namespace",
        verdict="note",
        text=f"Pod Security `{level or 'privileged'}` is enforced, and pods of pricon pass "
        "`restricted`",
        hint=f"`kubectl label namespace {cluster.namespace} {_ENFORCED}=restricted` keeps others "
        "out that want more",
    )
