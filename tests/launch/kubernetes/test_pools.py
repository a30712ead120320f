"""Pools, held against API server and nodes. `test_premises.py` has all that is well."""

from typing import Any

from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.pools import examine_pool
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.premises import GPU_LABEL, GPU_TAINT, gpu_node, node

QUOTA = (
    '{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": '
    '"rayjobs.ray.io \\"doctor\\" is forbidden: exceeded quota: runs"}'
)


def examined(
    kube: Cluster, name: str, *nodes: Object, is_sent: bool = True, **profile: Any
) -> dict[str, list[Finding]]:
    findings: dict[str, list[Finding]] = {}
    found = examine_pool(kube, make_profile(**profile), name, [*nodes], is_sent=is_sent)
    for one in found:
        findings.setdefault(one.check, []).append(one)
    return findings


def test_a_run_on_all_pods_of_the_pool_is_asked_about(kube: Cluster, api: ApiServer) -> None:
    for name, most in (("cpu", 8), ("gpu-a100", 4)):
        (finding,) = examined(kube, name)[f"pool {name}"]
        assert finding.verdict == "ok"
        assert finding.text == f"the API server accepts a run with up to {most} worker pods"
    assert not api.store.objects
    assert api.times("create", "configmaps") == 2


def test_a_head_without_memory_for_a_lane(kube: Cluster) -> None:
    (finding,) = examined(kube, "cpu", head={"cpus": 2, "memory": "2Gi"})["pool cpu"]
    assert finding.verdict == "wrong"
    assert finding.text.startswith("the head of this cluster has 2Gi of memory")


def test_a_run_that_would_be_refused(kube: Cluster, api: ApiServer) -> None:
    api.fail("create", "rayjobs", status=403, body=QUOTA)
    finding, room = examined(kube, "cpu", node("cpu-1"))["pool cpu"]
    assert (finding.verdict, room.verdict) == ("wrong", "ok")
    assert finding.text.startswith("the cluster does not admit RayJob `doctor-")
    assert finding.text.endswith("exceeded quota: runs")


def test_a_worker_that_no_pod_holds(kube: Cluster) -> None:
    small = {"cpu": {"cpus": 0.5, "memory": "1Gi", "maxWorkers": 1}}
    (finding,) = examined(kube, "cpu", pools=small)["pool cpu"]
    assert finding.verdict == "wrong"
    assert "a pod of pool `cpu` has 0.5 CPUs" in finding.text


def test_nodes_that_may_come_are_no_fault(kube: Cluster) -> None:
    """One small node for what runs always, and an autoscaler for the rest."""
    findings = examined(kube, "cpu", node("system", cpu="2", memory="4Gi"))
    assert findings["pool cpu"][0].verdict == "ok"
    assert [one.verdict for one in (findings["pool cpu"][1], *findings["head"])] == ["note"] * 2
    assert "`system` has 2 of 4 cpu" in findings["pool cpu"][1].text
    (_, room) = examined(kube, "gpu-a100", node("system"))["pool gpu-a100"]
    assert (room.verdict, room.text) == (
        "note", "of 1 nodes, none has cloud.google.com/gke-accelerator=nvidia-tesla-a100",
    )  # fmt: skip
    cordoned = node(
        "a", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    )
    (_, room) = examined(kube, "cpu", cordoned)["pool cpu"]
    assert room.verdict == "note"


def test_gpus_that_nobody_offers_are_one(kube: Cluster) -> None:
    bare = node("gpu-1", GPU_LABEL, [GPU_TAINT], cpu="12", memory="80Gi")
    findings = examined(kube, "gpu-a100", node("cpu-1"), bare)
    (_, room) = findings["pool gpu-a100"]
    assert room.verdict == "wrong"
    assert room.text == "nodes for its pods offer no nvidia.com/gpu: `gpu-1`"
    assert "does the device plugin run" in str(room.hint)
    assert "`pools.gpu-a100.gpuResource` of the profile must be its name" in str(room.hint)
    (_, room) = examined(kube, "gpu-a100", bare, gpu_node("gpu-2"))["pool gpu-a100"]
    assert room.verdict == "ok"


def test_a_head_needs_room_for_its_autoscaler_too(kube: Cluster) -> None:
    head = {"cpus": 7.9, "memory": "8Gi"}
    (finding,) = examined(kube, "cpu", node("cpu-1"), head=head)["head"]
    assert finding.verdict == "note"
    assert "`cpu-1` has 7910m of 7.9 + 500m cpu" in finding.text
    (finding,) = examined(kube, "cpu", node("cpu-1"), head=head, queue="team")["head"]
    assert finding.verdict == "ok", "Kueue lets nothing scale"


def test_without_kuberay_nodes_can_be_looked_at_all_the_same(kube: Cluster, api: ApiServer) -> None:
    findings = examined(kube, "cpu", node("cpu-1"), is_sent=False)
    assert [one.text for one in findings["pool cpu"]] == [
        "its pods find room on 1 of 1 nodes, when these are empty"
    ]
    assert not api.asked
