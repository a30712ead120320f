"""A job and a cluster's profile -> the objects that are sent to the cluster. Pure: no cluster.

A RayJob brings up a head without work of its own, workers that scale with the lanes, and a pod that
starts the driver; all of them end with it.
"""

import math
from dataclasses import dataclass, replace

from pricon.launch.kubernetes.pod_template import (
    AUTOSCALER_MOUNTS,
    JOB_FOLDER,
    Object,
    head_pod,
    submitter_pod,
    worker_pod,
)
from pricon.launch.kubernetes.resolve import pool_of, resolve, workers_of_pod
from pricon.launch.submission import FACTS, Submission, handle_of
from pricon.launch.usage import pool_facts
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile, PoolSpec
from pricon.spec.resources import ResourcesSpec

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
RUN_LABEL = "pricon.dev/run"
JOB_LABEL = "pricon.dev/job"
MANAGED = "pricon-submit"

_OBJECT_STORE_BYTES = 256 * 2**20
"""Ray's shared memory. Plans and events are small; the corpus never travels through it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedRun:
    """What is sent, as plain objects without a namespace."""

    handle: str
    job: JobSpec
    ray_job: Object
    config_map: Object


def render(job: JobSpec, profile: ClusterProfile, submission: Submission) -> RenderedRun:
    """The objects of a run.

    Raises:
        SpecError: the job does not fit the cluster.
    """
    handle = handle_of(job, submission.folds)
    resolved = resolve(job, profile)
    labels = {
        "app.kubernetes.io/name": "pricon",
        "app.kubernetes.io/component": "run",
        "app.kubernetes.io/managed-by": MANAGED,
        RUN_LABEL: handle,
        JOB_LABEL: job.name,
    }
    queue = {} if resolved.resources.queue is None else {QUEUE_LABEL: resolved.resources.queue}
    ray_job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": handle,
            "labels": labels | queue,
            "annotations": {
                "pricon.dev/version": submission.version,
                "pricon.dev/submission": submission.id,
                "pricon.dev/output": f"{resolved.output}/{job.name}",
            },
        },
        "spec": _ray_job_spec(resolved, profile, submission, labels),
    }
    _, pool = pool_of(resolved.resources, profile)
    noted = {"image": profile.image, "pool": pool_facts(pool, profile)}
    facts = replace(submission, handle=handle).facts(**noted)
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": handle, "labels": labels},
        "data": {"job.yaml": dump_job(resolved), FACTS: facts},
    }
    return RenderedRun(handle=handle, job=resolved, ray_job=ray_job, config_map=config_map)


def _ray_job_spec(
    job: JobSpec, profile: ClusterProfile, submission: Submission, labels: Object
) -> Object:
    is_queued = job.resources.queue is not None
    tries_again = profile.retries.cluster_failures > 0
    spec = {
        "entrypoint": submission.command(f"{JOB_FOLDER}/job.yaml", gives_up=tries_again),
        "submissionMode": "K8sJobMode",
        "submitterConfig": {"backoffLimit": 0},
        "submitterPodTemplate": _prioritised(submitter_pod(profile, labels), job),
        "backoffLimit": profile.retries.cluster_failures,
        "activeDeadlineSeconds": profile.time_limit_s,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": profile.keep_s,
        "suspend": is_queued,  # Kueue lets it go when its turn comes
        "rayClusterSpec": _ray_cluster_spec(job, profile, labels, autoscales=not is_queued),
    }
    if not is_queued:
        spec["preRunningDeadlineSeconds"] = profile.pending_limit_s
    return spec


def _ray_cluster_spec(
    job: JobSpec, profile: ClusterProfile, labels: Object, *, autoscales: bool
) -> Object:
    pool_name, pool = pool_of(job.resources, profile)
    most = pods_at_once(job.resources, pool)
    least = min(pool.min_workers, most) if autoscales else most
    head = head_pod(profile, labels, config_map=labels[RUN_LABEL], autoscales=autoscales)
    head = _prioritised(head, job)
    worker = _prioritised(worker_pod(profile, pool, labels), job)
    spec: Object = {
        "rayVersion": profile.ray_version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": autoscales,
        "headGroupSpec": {
            "rayStartParams": {
                "num-cpus": "0",
                "num-gpus": "0",
                "object-store-memory": str(_OBJECT_STORE_BYTES),
            },
            "template": head,
        },
        "workerGroupSpecs": [
            {
                "groupName": pool_name,
                "replicas": least,
                "minReplicas": least,
                "maxReplicas": most,
                "rayStartParams": {
                    "object-store-memory": str(_OBJECT_STORE_BYTES),
                    # Ray's autoscaler knows a GPU by its resource's last three letters, at most.
                    **({"num-gpus": str(pool.gpus)} if pool.gpus else {}),
                },
                "template": worker,
            }
        ],
    }
    if autoscales:
        spec["autoscalerOptions"] = _autoscaler(head)
    if profile.isolate_runs:
        spec["networkPolicy"] = {"mode": "DenyAllIngress"}
    return spec


def pods_at_once(resources: ResourcesSpec, pool: PoolSpec) -> int:
    """Worker pods that a run has use for, and may have."""
    lanes = min(resources.lanes, resources.lanes_at_once or resources.lanes)
    pods = math.ceil(lanes * resources.workers_per_lane / workers_of_pod(resources, pool))
    return min(pods, pool.max_workers)


def _autoscaler(head: Object) -> Object:
    (container,) = head["spec"]["containers"]
    size = {"cpu": "500m", "memory": "512Mi"}
    return {
        "version": "v2",
        "idleTimeoutSeconds": 60,
        "resources": {"requests": size, "limits": dict(size)},
        "securityContext": container["securityContext"],
        "volumeMounts": AUTOSCALER_MOUNTS,
        "env": [{"name": "HOME", "value": "/tmp"}],
    }


def _prioritised(pod: Object, job: JobSpec) -> Object:
    """The pod as urgent as its run."""
    if job.resources.priority_class is not None:
        pod["spec"]["priorityClassName"] = job.resources.priority_class
    return pod
