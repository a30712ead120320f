"""A pool of the profile: does the API server accept runs in it, and would nodes take its pods?"""

from collections.abc import Iterator
from typing import Any

from pricon.errors import PriconError
from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.placement import nodes_for, why_none, without_devices
from pricon.launch.kubernetes.pods import asks_for, name_of
from pricon.launch.kubernetes.rayjob import render
from pricon.launch.kubernetes.resolve import workers_of_pod
from pricon.launch.kubernetes.sending import check_run
from pricon.launch.submission import Submission
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile


def examine_pool(
    cluster: Cluster, profile: ClusterProfile, name: str, nodes: list[Object], *, is_sent: bool
) -> Iterator[Finding]:
    """The API server's word on a run in a pool, and room for its pods where nodes are seen.

    Args:
        cluster: where runs go.
        profile: of the cluster.
        name: of the pool; with the default one the head is looked at.
        nodes: of the cluster; none where they may not be seen.
        is_sent: whether the API server is asked, by a dry run.
    """
    check = f"pool {name}"
    try:
        rendered = render(_job_in(name, profile), profile, Submission())
    except PriconError as err:
        yield Finding.of_error(check, err)
        return
    spec = rendered.ray_job["spec"]["rayClusterSpec"]
    try:
        if is_sent:
            check_run(cluster, rendered)
            most = spec["workerGroupSpecs"][0]["maxReplicas"]
            pods = "1 worker pod" if most == 1 else f"{most} worker pods"
            text = f"the API server accepts a run with up to {pods}"
            yield Finding(check=check, verdict="ok", text=text)
    except PriconError as err:
        yield Finding.of_error(check, err)
    if nodes:
        if name == profile.default_pool:
            yield _room("head", "head", _whole_head(spec), nodes)
        worker = spec["workerGroupSpecs"][0]["template"]
        yield _room(check, f"pools.{name}", worker, nodes)


def _job_in(name: str, profile: ClusterProfile) -> JobSpec:
    """A job that is never sent: one lane over all pods of a pool. Other keys do not matter."""
    pool = profile.pools[name]
    document: dict[str, Any] = {
        "name": "doctor",
        "corpus": {"adapter": "again", "generate": {"participants": 8}},
        "modalities": {"available": ["frames"], "privileged": ["telemetry"]},
    }
    gpus = min(1, pool.gpus)
    one = JobSpec.model_validate({**document, "resources": {"gpus_per_worker": gpus}}).resources
    workers = max(1, pool.max_workers * workers_of_pod(one, pool))
    resources = {"pool": name, "lanes": 1, "workers_per_lane": workers}
    return JobSpec.model_validate({**document, "resources": resources})


def _whole_head(spec: Object) -> Object:
    """The head's pod as KubeRay makes it: with a container for the autoscaler."""
    pod = spec["headGroupSpec"]["template"]
    if "autoscalerOptions" not in spec:
        return dict(pod)
    autoscaler = {"resources": spec["autoscalerOptions"]["resources"]}
    return {"spec": {**pod["spec"], "containers": [*pod["spec"]["containers"], autoscaler]}}


def _room(check: str, key: str, pod: Object, nodes: list[Object]) -> Finding:
    """Only what no new node would mend is wrong."""
    found = nodes_for(pod, nodes)
    if found:
        text = f"its pods find room on {len(found)} of {len(nodes)} nodes, when these are empty"
        return Finding(check=check, verdict="ok", text=text)
    plain = without_devices(pod, nodes)
    if plain:
        names = ", ".join(f"`{name_of(node)}`" for node in plain)
        devices = ", ".join(noun for noun in asks_for(pod) if "/" in noun)
        return Finding(
            check=check,
            verdict="wrong",
            text=f"nodes for its pods offer no {devices}: {names}",
            hint="does the device plugin run on them? `kubectl describe node` lists what a node "
            f"offers; `{key}.gpuResource` of the profile must be its name",
        )
    reason = why_none(key, pod, nodes)
    return Finding(check=check, verdict="note", text=reason.sentence, hint=reason.hint)
