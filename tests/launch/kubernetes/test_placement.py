"""Which nodes would take the pods of a pool, and what is said where none would."""

from typing import Any

import pytest

from pricon.launch.kubernetes.placement import nodes_for, why_none
from pricon.spec.profile import PoolSpec
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.premises import GPU_LABEL, GPU_TAINT, gpu_node, node

POOLS = make_profile().pools
GPU = POOLS["gpu-a100"]


def tolerating(**toleration: Any) -> PoolSpec:
    document = GPU.model_dump(mode="json") | {"tolerations": [toleration]}
    return PoolSpec.model_validate(document)


def test_a_node_needs_labels_room_and_no_foreign_taint() -> None:
    cpu, gpu, tainted = node("cpu-1"), gpu_node(), node("tainted", taints=[GPU_TAINT])
    assert nodes_for(POOLS["cpu"], [cpu, gpu, tainted]) == [cpu]
    assert nodes_for(GPU, [cpu, gpu, tainted]) == [gpu]


@pytest.mark.parametrize(
    ("toleration", "is_enough"),
    [
        ({"key": "nvidia.com/gpu"}, True),
        ({"key": "nvidia.com/gpu", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "effect": "NoExecute"}, False),
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
    assert nodes_for(POOLS["cpu"], [node("cpu-1", taints=[wish])])


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
    assert reason is not None
    assert reason.sentence == (
        f"2 nodes have its labels, and none is large enough: `gpu-1` has {lacks}"
    )
    assert "lower `pools.gpu-a100` of the profile" in str(reason.hint)
    assert "device plugin" in str(reason.hint)


def test_a_taint_that_nobody_named() -> None:
    tainted = node("gpu-1", GPU_LABEL, [GPU_TAINT, {"key": "team", "effect": "NoExecute"}])
    reason = why_none("pools.gpu-a100", GPU, [tainted, node("cpu-1")])
    assert reason is not None
    assert reason.sentence == "1 node has its labels, and a taint keeps pods away: `team`"
    assert reason.hint == (
        "`pools.gpu-a100.tolerations` of the profile names the taints of nodes that are for its "
        "pods"
    )


def test_nodes_that_are_not_ready() -> None:
    away = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    reason = why_none(
        "head", make_profile().head, [node("a", taints=[away]), node("b", taints=[away])]
    )
    assert reason is not None
    assert reason.sentence == (
        "2 nodes have its labels, and taints keep pods away: `node.kubernetes.io/unschedulable`"
    )
    assert reason.hint == "nodes are not ready, or cordoned: `kubectl get nodes` shows which"


def test_no_node_has_the_labels() -> None:
    assert why_none("pools.gpu-a100", GPU, [node("cpu-1")]) is None
