"""Which nodes would take the pods of a pool, and what is said where none would."""

from typing import Any

import pytest

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.placement import nodes_for, why_none, without_devices
from pricon.launch.kubernetes.pod_template import head_pod, worker_pod
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.premises import GPU_LABEL, GPU_TAINT, gpu_node, node

PROFILE = make_profile()
CPU = worker_pod(PROFILE, PROFILE.pools["cpu"], {})
GPU = worker_pod(PROFILE, PROFILE.pools["gpu-a100"], {})
HEAD = head_pod(PROFILE, {}, config_map="x", autoscales=False)


def tolerating(**toleration: Any) -> Object:
    return {"spec": {**GPU["spec"], "tolerations": [toleration]}}


def test_a_node_needs_labels_room_and_no_foreign_taint() -> None:
    cpu, gpu, tainted = node("cpu-1"), gpu_node(), node("tainted", taints=[GPU_TAINT])
    assert nodes_for(CPU, [cpu, gpu, tainted]) == [cpu]
    assert nodes_for(GPU, [cpu, gpu, tainted]) == [gpu]


@pytest.mark.parametrize(
    ("toleration", "is_enough"),
    [
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "nvidia.com/gpu", "value": "present"}, True),
        ({"key": "nvidia.com/gpu"}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "present"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "absent"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Equal"}, False),
        ({"key": "amd.com/gpu"}, False),
    ],
)
def test_tolerations_are_those_of_kubernetes(toleration: dict[str, str], is_enough: bool) -> None:
    assert bool(nodes_for(tolerating(**toleration), [gpu_node()])) is is_enough


def test_a_taint_that_is_a_wish_keeps_nobody_away() -> None:
    wish = {"key": "spot", "effect": "PreferNoSchedule"}
    assert nodes_for(CPU, [node("cpu-1", taints=[wish])])


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ({"cpu": "7910m"}, "7910m of 8 cpu"),
        ({"memory": "31Gi"}, "31Gi of 32Gi memory"),
        ({"ephemeral_storage": "9Gi"}, "9Gi of 10Gi ephemeral-storage"),
        ({"gpus": "0"}, "0 of 1 nvidia.com/gpu"),
    ],
)
def test_a_node_that_is_too_small(has: dict[str, str], lacks: str) -> None:
    nodes = [gpu_node(**has), node("without", GPU_LABEL, [GPU_TAINT], cpu="1", memory="1Gi")]
    assert nodes_for(GPU, nodes) == []
    reason = why_none("pools.gpu-a100", GPU, nodes)
    assert reason.sentence == (
        f"2 nodes have its labels, and none is large enough: `gpu-1` has {lacks}"
    )
    assert reason.hint == (
        "fine where larger nodes come when pods wait for them; else lower `pools.gpu-a100` of the "
        "profile"
    )


def test_what_all_containers_of_a_pod_want_adds_up() -> None:
    more = {"resources": {"requests": {"cpu": "500m"}}}
    pod = {"spec": {"containers": [*CPU["spec"]["containers"], more]}}
    tight = node("tight", cpu="4")
    assert nodes_for(CPU, [tight])
    assert not nodes_for(pod, [tight])
    assert "`tight` has 4 of 4 + 500m cpu" in why_none("head", pod, [tight]).sentence


def test_nodes_whose_devices_nobody_offers() -> None:
    bare, none_left, small = gpu_node("bare"), gpu_node("none", gpus="0"), gpu_node(memory="1Gi")
    del bare["status"]["allocatable"]["nvidia.com/gpu"]
    assert without_devices(GPU, [bare, none_left, small, gpu_node()]) == [bare, none_left]
    assert without_devices(CPU, [node("small", cpu="1")]) == []
    two = {"spec": {**GPU["spec"], "containers": 2 * GPU["spec"]["containers"]}}
    assert without_devices(two, [gpu_node(cpu="64", memory="512Gi")]) == [], "some are offered"


def test_a_taint_that_nobody_named() -> None:
    tainted = node("gpu-1", GPU_LABEL, [GPU_TAINT, {"key": "team", "effect": "NoExecute"}])
    reason = why_none("pools.gpu-a100", GPU, [tainted, node("cpu-1")])
    assert reason.sentence == "1 node has its labels, and a taint keeps pods away: `team`"
    assert reason.hint == (
        "`pools.gpu-a100.tolerations` of the profile names the taints of nodes that are for its "
        "pods"
    )


def test_nodes_that_are_not_ready() -> None:
    away = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    reason = why_none("head", HEAD, [node("a", taints=[away]), node("b", taints=[away])])
    assert reason.sentence == (
        "2 nodes have its labels, and taints keep pods away: `node.kubernetes.io/unschedulable`"
    )
    assert reason.hint == "nodes are not ready, or cordoned: `kubectl get nodes` shows which"


def test_no_node_has_the_labels() -> None:
    reason = why_none("pools.gpu-a100", GPU, [node("cpu-1")])
    assert reason.sentence == (
        "of 1 nodes, none has cloud.google.com/gke-accelerator=nvidia-tesla-a100"
    )
    assert "fine where nodes come when pods wait for them" in str(reason.hint)
    assert "`pools.gpu-a100.nodeSelector` of the profile is wrong" in str(reason.hint)
