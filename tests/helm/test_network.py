"""Network policies by what they mean: every pair of pods, and the ways out."""

import itertools
import json
from pathlib import Path

import pytest

from tests.helm.binaries import Binary
from tests.helm.network import Peer, may_connect, role
from tests.helm.render import KubernetesObject, pods, render

Charts = dict[str, list[KubernetesObject]]

OPERATOR = Peer(namespace="kuberay-system", labels={"app.kubernetes.io/name": "kuberay-operator"})
STRANGER = Peer(labels={"app": "somebody-else"})
DNS = Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"})
API_SERVER, CLOUD_STORE, METADATA = (
    Peer(address=address) for address in ("10.0.0.1", "52.219.1.1", "169.254.169.254")
)
ROLES = ("head", "worker", "submitter", "tracking", "object-store", "test", "nobody")
GCS, DASHBOARD, RAY_WORKER, METRICS, MLFLOW, S3, HTTPS = 6379, 8265, 23456, 8080, 5000, 8333, 443
RAY_CLIENT = 10001

INSIDE = {
    ("head", "worker", GCS), ("worker", "head", GCS),
    ("head", "worker", RAY_WORKER), ("worker", "head", RAY_WORKER),
    ("submitter", "head", DASHBOARD),
    *((sender, "tracking", MLFLOW) for sender in ("head", "test")),
    *((sender, "object-store", S3) for sender in ("head", "worker", "test", "tracking")),
}  # fmt: skip
"""Who needs whom, heads and workers among each other apart."""


def between_ray(sender: str, receiver: str) -> bool:
    return {sender, receiver} <= {"head", "worker"}


def test_pods_reach_what_they_need_and_nothing_else(charts: Charts) -> None:
    """`object-store` has every role; no port of any other pod is open."""
    objects = charts["object-store"]
    ports = (GCS, DASHBOARD, RAY_WORKER, METRICS, MLFLOW, S3, HTTPS, 22)
    for sender, receiver, port in itertools.product(ROLES, ROLES, ports):
        expected = (sender, receiver, port) in INSIDE or between_ray(sender, receiver)
        found = may_connect(objects, role(sender), role(receiver), port)
        assert found is expected, (sender, receiver, port)


@pytest.mark.parametrize("name", ROLES)
def test_strangers_stay_outside_and_names_are_resolved(charts: Charts, name: str) -> None:
    for feature in ("default", "object-store", "shared-cluster", "isolated-runs"):
        for port in (DASHBOARD, MLFLOW, S3, GCS):
            assert not may_connect(charts[feature], STRANGER, role(name), port)
            assert not may_connect(charts[feature], role(name), STRANGER, port)
        assert may_connect(charts[feature], role(name), DNS, 53, "UDP")
        assert may_connect(charts[feature], role(name), DNS, 53, "TCP")
        assert not may_connect(charts[feature], role(name), DNS, HTTPS)


def test_the_operator_reaches_dashboards_and_no_more(charts: Charts) -> None:
    objects = charts["default"]
    assert may_connect(objects, OPERATOR, role("head"), DASHBOARD)
    assert not may_connect(objects, OPERATOR, role("head"), GCS)
    assert not may_connect(objects, OPERATOR, role("tracking"), MLFLOW)
    neighbour = Peer(namespace="kuberay-system", labels={"app": "shell"})
    assert not may_connect(objects, neighbour, role("head"), DASHBOARD)


def test_people_do_not_reach_the_shared_cluster(charts: Charts) -> None:
    """Not from other namespaces and not from outside; `kubectl port-forward` passes no policy."""
    objects = charts["shared-cluster"]
    head = Peer(labels=dict(pods(objects))["RayCluster/pricon-shared/head"]["metadata"]["labels"])
    outside = Peer(address="203.0.113.9")
    for port in (DASHBOARD, RAY_CLIENT):
        for people in (Peer(namespace="notebooks"), Peer(namespace="ingress-nginx"), outside):
            assert not may_connect(objects, people, head, port)
        assert may_connect(objects, role("worker"), head, port)


@pytest.mark.parametrize(
    ("feature", "address", "port", "who"),
    [
        ("default", CLOUD_STORE, HTTPS, {"head", "worker", "tracking", "test"}),
        ("default", CLOUD_STORE, 80, set()),
        ("default", METADATA, 80, set()),
        ("default", METADATA, HTTPS, set()),
        ("default", API_SERVER, 6443, {"head", "test"}),
        ("object-store", CLOUD_STORE, HTTPS, {"head", "test"}),
        ("isolated-runs", API_SERVER, HTTPS, {"head", "test"}),
        ("isolated-runs", Peer(address="10.0.0.2"), HTTPS, set()),
        ("isolated-runs", CLOUD_STORE, HTTPS, set()),
        (
            "isolated-runs",
            Peer(address="198.51.100.9"),
            HTTPS,
            {"head", "worker", "tracking", "test"},
        ),
        (
            "workload-identity",
            Peer(address="169.254.170.23"),
            80,
            {"head", "worker", "tracking", "test"},
        ),
        ("workload-identity", METADATA, 80, set()),
        (
            "tracking-elsewhere",
            Peer(address="203.0.113.7"),
            HTTPS,
            {"head", "worker", "tracking", "test"},
        ),
        ("nothing-tracked", METADATA, 80, {*ROLES}),
    ],
)
def test_ways_out(charts: Charts, feature: str, address: Peer, port: int, who: set[str]) -> None:
    found = {name for name in ROLES if may_connect(charts[feature], role(name), address, port)}
    assert found == who


def test_an_empty_list_closes_a_way_and_does_not_open_it(helm: Binary, tmp_path: Path) -> None:
    """In a NetworkPolicy, no peers are all peers."""
    ways = ("apiServer", "objectStorage", "dns", "identity")
    values: dict[str, object] = {"networkPolicy": {way: {"cidrs": []} for way in ways}}
    (tmp_path / "closed.yaml").write_text(json.dumps(values), encoding="utf-8")
    objects = render(helm, tmp_path / "closed.yaml")
    for name, address in itertools.product(ROLES, (API_SERVER, CLOUD_STORE, METADATA)):
        assert not may_connect(objects, role(name), address, HTTPS)
        assert may_connect(objects, role(name), DNS, 53, "UDP")
    for policy in (entry["spec"] for entry in objects if entry["kind"] == "NetworkPolicy"):
        assert all(rule["to"] for rule in policy.get("egress", []))
        assert all(rule["from"] for rule in policy.get("ingress", []))


def test_a_store_and_a_database_in_other_namespaces(charts: Charts) -> None:
    minio, postgres = Peer(namespace="minio"), Peer(namespace="postgres")
    assert may_connect(charts["storage-keys"], role("worker"), minio, 9000)
    assert not may_connect(charts["storage-keys"], role("worker"), minio, HTTPS)
    assert not may_connect(charts["storage-keys"], role("worker"), CLOUD_STORE, 9000)
    assert may_connect(charts["tracking-postgres"], role("tracking"), postgres, 5432)
    assert not may_connect(charts["tracking-postgres"], role("worker"), postgres, 5432)
    assert not may_connect(charts["default"], role("tracking"), postgres, 5432)


def test_the_ingress_controller_and_prometheus_where_they_are_wanted(charts: Charts) -> None:
    controller, prometheus = Peer(namespace="ingress-nginx"), Peer(namespace="monitoring")
    assert may_connect(charts["tracking-ingress"], controller, role("tracking"), MLFLOW)
    assert not may_connect(charts["default"], controller, role("tracking"), MLFLOW)
    for name in ("head", "worker"):
        assert may_connect(charts["monitoring"], prometheus, role(name), METRICS)
        assert not may_connect(charts["monitoring"], prometheus, role(name), DASHBOARD)
        assert not may_connect(charts["default"], prometheus, role(name), METRICS)


def test_isolated_runs_leave_ray_to_policies_of_kuberay(charts: Charts) -> None:
    """KubeRay's mode `DenyAllIngress` lets in the pods of a run's own cluster; policies add up."""

    def pod(name: str, cluster: str) -> Peer:
        return Peer(labels={"pricon.dev/role": name, "ray.io/cluster": cluster})

    def of_kuberay(cluster: str) -> KubernetesObject:
        own = {"matchLabels": {"ray.io/cluster": cluster}}
        return {
            "kind": "NetworkPolicy",
            "metadata": {"name": cluster, "namespace": "affect"},
            "spec": {
                "podSelector": own,
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": own}]}],
            },
        }

    objects = [*charts["isolated-runs"], of_kuberay("a"), of_kuberay("b")]
    assert may_connect(objects, pod("worker", "a"), pod("head", "a"), GCS)
    assert may_connect(objects, pod("head", "a"), pod("worker", "a"), RAY_WORKER)
    assert not may_connect(objects, pod("worker", "a"), pod("head", "b"), GCS)
    assert may_connect(objects, role("submitter"), pod("head", "a"), DASHBOARD)
    shared = [*charts["default"], of_kuberay("a"), of_kuberay("b")]
    assert may_connect(shared, pod("worker", "a"), pod("head", "b"), GCS)
