"""Pods of a run, as plain objects of Kubernetes: head, workers, submitter.

All pass Pod Security "restricted": nobody is root, nothing is written but scratch, no capability
is kept. Secrets are named, never read.
"""

from typing import Any, Literal

from pricon.launch.leaving import COMMAND, FOLDER
from pricon.spec.profile import ClusterProfile, PlacementSpec, PoolSpec, TolerationSpec

Role = Literal["head", "worker", "submitter"]
Object = dict[str, Any]

JOB_FOLDER = "/etc/pricon"
"""Where the head finds job and submission."""

USER = 65532
"""User and group of `deploy/Dockerfile`."""

_SCRATCH = "/tmp"  # of a pod, which nobody shares
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_GOODBYE_S = 20
"""How long a driver that is stopped may record how far it came; Ray's 3 s are short for that, and
the pod itself goes after Kubernetes' 30."""
_KEEP_NODE = {
    # A run has no second head and no second submitter: nodes are not emptied under them.
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
_SUBMITTER = PlacementSpec(cpus=0.5, memory="1Gi", scratch="1Gi")


def head_pod(
    profile: ClusterProfile, labels: Object, *, config_map: str, autoscales: bool
) -> Object:
    """The head: driver, Ray's own services, and the autoscaler, which asks the API server.

    Only the autoscaler's container mounts the account's token (`AUTOSCALER_MOUNTS`): a driver runs
    what people wrote, and KubeRay lets the account change RayClusters.
    """
    pod = _pod("head", profile, profile.head, labels)
    spec = pod["spec"]
    if autoscales:
        spec["volumes"].append(_api_access())
    goodbye = {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": str(_GOODBYE_S)}
    spec["containers"][0]["env"] += [goodbye, *_tracking(profile)]
    spec["containers"][0]["volumeMounts"].append(
        {"name": "job", "mountPath": JOB_FOLDER, "readOnly": True}
    )
    spec["volumes"].append({"name": "job", "configMap": {"name": config_map}})
    return pod


def worker_pod(profile: ClusterProfile, pool: PoolSpec, labels: Object) -> Object:
    """A pod for the workers of lanes, which save what they train before it is stopped."""
    pod = _pod("worker", profile, pool, labels)
    (container,) = pod["spec"]["containers"]
    container["env"].append({"name": FOLDER, "value": f"{_SCRATCH}/leaving"})
    container["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", COMMAND]}}}
    if pool.gpus:
        for kind in ("requests", "limits"):
            container["resources"][kind][pool.gpu_resource] = str(pool.gpus)
    if pool.runtime_class_name is not None:
        pod["spec"]["runtimeClassName"] = pool.runtime_class_name
    return pod


def submitter_pod(profile: ClusterProfile, labels: Object) -> Object:
    """The pod that starts the driver and whose log is the driver's."""
    return _pod("submitter", profile, _SUBMITTER, labels)


AUTOSCALER_MOUNTS: list[Object] = [
    {"name": "scratch", "mountPath": _SCRATCH},
    {"name": "api", "mountPath": _ACCOUNT, "readOnly": True},
]
"""What the autoscaler's container sees of the head's volumes."""


def _api_access() -> Object:
    """What Kubernetes mounts for a service account by itself, as a volume to be chosen."""
    space = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    return {
        "name": "api",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {"downwardAPI": {"items": [space]}},
            ]
        },
    }


_CONTAINER: dict[Role, str] = {
    "head": "ray-head",
    "worker": "ray-worker",
    "submitter": "ray-job-submitter",
}


def _pod(role: Role, profile: ClusterProfile, place: PlacementSpec, labels: Object) -> Object:
    # Ray's objects are small; NCCL exchanges through it where GPUs have no other way.
    shared = max(1, place.gpus) if isinstance(place, PoolSpec) else 1
    spec: Object = {
        "serviceAccountName": profile.service_account,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(role, profile, place)],
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": place.scratch}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{shared}Gi"}},
        ],
    }
    if profile.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in profile.image_pull_secrets]
    if place.node_selector:
        spec["nodeSelector"] = dict(place.node_selector)
    if place.tolerations:
        spec["tolerations"] = [_toleration(taint) for taint in place.tolerations]
    metadata: Object = {"labels": {**labels, "pricon.dev/role": role}}
    if role != "worker":
        metadata["annotations"] = dict(_KEEP_NODE)
    return {"metadata": metadata, "spec": spec}


def _container(role: Role, profile: ClusterProfile, place: PlacementSpec) -> Object:
    size = {
        "cpu": f"{place.cpus:g}",
        "memory": place.memory,
        "ephemeral-storage": place.scratch,
    }
    return {
        "name": _CONTAINER[role],
        "image": profile.image,
        "imagePullPolicy": profile.image_pull_policy,
        "env": [
            {"name": "HOME", "value": _SCRATCH},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
            # Ray's head tells its makers even that it tells them nothing: to nobody, then.
            {"name": "RAY_USAGE_STATS_REPORT_URL", "value": "http://127.0.0.1:9"},
            *([] if role == "submitter" else _object_store(profile)),
        ],
        "resources": {"requests": dict(size), "limits": dict(size)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": _SCRATCH},
            {"name": "shm", "mountPath": "/dev/shm"},  # of a pod
        ],
    }


def _toleration(taint: TolerationSpec) -> Object:
    return taint.model_dump(exclude_none=True)


def _object_store(profile: ClusterProfile) -> list[Object]:
    keys = _from_secret(profile.storage.secret_name, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if profile.storage.endpoint_url is None:
        return keys
    # Stores other than AWS may refuse the checksums that boto3 sends by itself.
    names = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
    return [*keys, *({"name": name, "value": "when_required"} for name in names)]


def _tracking(profile: ClusterProfile) -> list[Object]:
    secret = None if profile.tracking is None else profile.tracking.secret_name
    return _from_secret(secret, ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"))


def _from_secret(secret: str | None, keys: tuple[str, ...]) -> list[Object]:
    if secret is None:
        return []
    return [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for key in keys
    ]
