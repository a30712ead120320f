"""What a cluster's owner prepares: nodes, secrets, accounts, a profile. For the stand-in."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from tests.launch.kubernetes.apistore import NAMESPACE, Object
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.operator import Operator

GPU_LABEL = {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def node(
    name: str, labels: Object | None = None, taints: list[Object] | None = None, **has: Any
) -> Object:
    """A node of 8 CPUs; `has` replaces what can be allocated, `_` for what a name cannot hold."""
    allocatable = {"cpu": "7910m", "memory": "32Gi", "ephemeral-storage": "47093746742"}
    allocatable |= {key.replace("_", "-"): value for key, value in has.items() if key != "gpus"}
    if "gpus" in has:
        allocatable["nvidia.com/gpu"] = has["gpus"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": taints} if taints else {},
        "status": {"allocatable": allocatable},
    }


def gpu_node(name: str = "gpu-1", **has: Any) -> Object:
    """A node for the pool `gpu-a100` of `make_profile`."""
    has = {"cpu": "12", "memory": "80Gi", "gpus": "1", **has}
    return node(name, GPU_LABEL, [GPU_TAINT], **has)


def named(kind: str, name: str, **body: Any) -> Object:
    """An object of which nothing but its name matters."""
    return {"kind": kind, "metadata": {"name": name}, **body}


def chart_pod(component: str, name: str, status: Object) -> Object:
    """A pod of what the chart keeps running."""
    labels = {"app.kubernetes.io/name": "pricon", "app.kubernetes.io/component": component}
    return {"kind": "Pod", "metadata": {"name": name, "labels": labels}, "status": status}


READY: Object = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def install_profile(operator: Operator, **changes: Any) -> None:
    """The chart writes its profile."""
    text = StringIO()
    document = make_profile(**changes).model_dump(mode="json", by_alias=True, exclude_none=True)
    YAML(typ="safe", pure=True).dump(document, text)
    data = {"profile.yaml": text.getvalue()}
    operator.add(named("ConfigMap", "pricon-profile", data=data))


def prepare(operator: Operator, **changes: Any) -> None:
    """All that a run needs, as the runbook has it."""
    install_profile(operator, **changes)
    for body in (
        node("cpu-1"),
        gpu_node(),
        named("Secret", "pricon-objects", data={"AWS_SECRET_ACCESS_KEY": "c2VjcmV0"}),
        named("Secret", "pricon-tracking", data={"MLFLOW_TRACKING_PASSWORD": "c2VjcmV0"}),
        named("ServiceAccount", "pricon-run"),
        chart_pod("tracking", "pricon-tracking-0", READY),
    ):
        operator.add(body)
    label_namespace(operator, "restricted")


def label_namespace(operator: Operator, level: str | None) -> None:
    """The owner labels the namespace."""
    labels = {} if level is None else {"pod-security.kubernetes.io/enforce": level}
    operator.store.objects.pop(("namespaces", NAMESPACE), None)
    space = named("Namespace", NAMESPACE)
    space["metadata"]["labels"] = labels
    operator.add(space)
