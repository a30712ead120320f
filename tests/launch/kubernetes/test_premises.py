"""What the owner prepared, as owner and submitter see it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.premises import SECRETS, premises
from pricon.launch.kubernetes.request import Request
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.clusters import IMAGE, make_profile
from tests.launch.kubernetes.operator import Operator
from tests.launch.kubernetes.premises import (
    chart_pod,
    gpu_node,
    label_namespace,
    named,
    prepare,
)


def found(cluster: Cluster, **profile: Any) -> dict[str, list[Finding]]:
    findings: dict[str, list[Finding]] = {}
    for one in premises(cluster, make_profile(**profile)):
        findings.setdefault(one.check, []).append(one)
    return findings


def texts(findings: list[Finding]) -> list[str]:
    return [one.text for one in findings]


def test_an_owner_sees_everything(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    findings = found(kube)
    assert {check: texts(one) for check, one in findings.items()} == {
        "profile": [f"pricon {make_profile().version} in {IMAGE}"],
        "head": ["pods of 2 CPUs, 8Gi find room on 1 of 2 nodes, when these are empty"],
        "pool cpu": [
            "the API server accepts a run with up to 8 pods",
            "pods of 4 CPUs, 8Gi find room on 1 of 2 nodes, when these are empty",
        ],
        "pool gpu-a100": [
            "the API server accepts a run with up to 4 pods",
            "pods of 8 CPUs, 32Gi find room on 1 of 2 nodes, when these are empty",
        ],
        "tracking": ["pod `pricon-tracking-0` is ready"],
        "secrets": ["`pricon-objects`, `pricon-tracking` are there"],
        "serviceaccounts": ["`pricon-run` is there"],
        "namespace": ["Pod Security `restricted` is enforced"],
    }
    assert {one.verdict for each in findings.values() for one in each} == {"ok"}


def test_a_submitter_is_told_what_nobody_looked_at(
    kube: Cluster, api: ApiServer, operator: Operator
) -> None:
    prepare(operator)
    api.forbidden |= {("list", "nodes"), ("get", "secrets"), ("get", "serviceaccounts")}
    api.forbidden.add(("get", "namespaces"))
    findings = found(kube)
    assert texts(findings["pool gpu-a100"]) == ["the API server accepts a run with up to 4 pods"]
    (unseen,) = findings["not seen"]
    assert unseen.verdict == "note"
    assert unseen.text == (
        "nodes, secrets, serviceaccounts, namespace: only the cluster's owner may look at these"
    )
    assert not {"head", "secrets", "serviceaccounts", "namespace"} & findings.keys()


def test_of_a_secret_nothing_but_its_metadata_is_asked(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    assert kube.exists(SECRETS, "pricon-objects")
    assert not kube.exists(SECRETS, "pricon-object")
    request = Request(
        verb="get", kind=SECRETS, name="pricon-objects", part=None, query={}, body=None,
        access=kube.access,
    )  # fmt: skip
    assert "AWS_SECRET_ACCESS_KEY" in str(kube._send(request).body)
    answer = kube._send(replace(request, is_partial=True))
    assert "pricon-objects" in str(answer.body)
    assert "AWS_SECRET_ACCESS_KEY" not in str(answer.body)


def test_an_image_by_its_tag(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    (finding,) = found(kube, image="registry.example.org/pricon:0.1.0")["profile"]
    assert finding.verdict == "note"
    assert finding.text.endswith("pricon:0.1.0: a tag, which may come to mean another image")
    assert "`deploy/build.sh`" in str(finding.hint)


def test_a_run_that_would_be_refused(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    api.fail("create", "rayjobs", status=403, body=QUOTA)
    findings = found(kube)
    first, second = findings["pool cpu"], findings["pool gpu-a100"]
    assert first[0].verdict == "wrong"
    assert first[0].text.startswith("the cluster does not admit RayJob `doctor-")
    assert first[0].text.endswith("exceeded quota: runs")
    assert second[0].verdict == "ok"


QUOTA = (
    '{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": '
    '"rayjobs.ray.io \\"doctor\\" is forbidden: exceeded quota: runs"}'
)


def test_a_worker_that_no_pod_holds(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    small = {"cpu": {"cpus": 0.5, "memory": "1Gi", "maxWorkers": 1}}
    (finding,) = found(kube, pools=small)["pool cpu"]
    assert finding.verdict == "wrong"
    assert "a pod of pool `cpu` has 0.5 CPUs" in finding.text


def test_pools_whose_nodes_are_not_there(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    api.store.delete("nodes", "gpu-1")
    accepted, room = found(kube)["pool gpu-a100"]
    assert (accepted.verdict, room.verdict) == ("ok", "note")
    assert room.text == ("of 1 nodes, none has cloud.google.com/gke-accelerator=nvidia-tesla-a100")
    assert "fine where nodes come when pods wait for them" in str(room.hint)
    operator.add(gpu_node(gpus="0"))
    _, room = found(kube)["pool gpu-a100"]
    assert room.verdict == "wrong"
    assert room.text.endswith("`gpu-1` has 0 of 1 nvidia.com/gpu")


def test_a_cluster_that_has_no_nodes_yet(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    for name in ("cpu-1", "gpu-1"):
        api.store.delete("nodes", name)
    (finding,) = found(kube)["nodes"]
    assert (finding.verdict, finding.text) == ("note", "there are none yet")


def test_a_head_that_finds_no_room(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    (finding,) = found(kube, head={"cpus": 64, "memory": "8Gi"})["head"]
    assert finding.verdict == "wrong"
    assert "`cpu-1` has 7910m of 64 cpu" in finding.text
    assert "lower `head` of the profile" in str(finding.hint)


def test_a_server_of_the_chart_that_is_not_ready(
    kube: Cluster, api: ApiServer, operator: Operator
) -> None:
    prepare(operator)
    api.store.delete("pods", "pricon-tracking-0")
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    status = {"name": "mlflow", "state": {"waiting": waiting}}
    operator.add(chart_pod("tracking", "pricon-tracking-1", {"containerStatuses": [status]}))
    pending = {"type": "PodScheduled", "status": "False", "message": "unbound claims"}
    operator.add(chart_pod("object-store", "pricon-object-store-0", {"conditions": [pending]}))
    findings = found(kube)
    (tracking,), (objects,) = findings["tracking"], findings["object-store"]
    assert tracking.text == (
        'pod `pricon-tracking-1` is not ready: CreateContainerConfigError: secret "x" not found'
    )
    assert objects.text == "pod `pricon-object-store-0` is not ready: unbound claims"
    assert objects.verdict == "wrong"
    assert "describe pod pricon-object-store-0" in str(objects.hint)


def test_what_the_profile_names_and_nobody_made(
    kube: Cluster, api: ApiServer, operator: Operator
) -> None:
    prepare(operator)
    api.has_kueue = True
    for plural, name in (("secrets", "pricon-tracking"), ("serviceaccounts", "pricon-run")):
        api.store.delete(plural, name)
    asked = {"queue": "team", "priorityClass": "low", "imagePullSecrets": ["registry"]}
    findings = found(kube, **asked)
    missing, pull, there = findings["secrets"]
    assert missing.text == (
        "there is no secret `pricon-tracking`, which `tracking.secretName` of the profile names"
    )
    assert pull.text.endswith("`registry`, which `imagePullSecrets[0]` of the profile names")
    assert there.text == "`pricon-objects` is there"
    assert texts(findings["serviceaccounts"]) == [
        "there is no service account `pricon-run`, which `serviceAccount` of the profile names"
    ]
    assert texts(findings["localqueues"]) == [
        "there is no LocalQueue `team`, which `queue` of the profile names"
    ]
    assert texts(findings["priorityclasses"]) == [
        "there is no PriorityClass `low`, which `priorityClass` of the profile names"
    ]
    operator.add(named("LocalQueue", "team"))
    assert found(kube, **asked)["localqueues"][0].verdict == "ok"


def test_a_queue_without_kueue(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    (finding,) = found(kube, queue="team")["localqueues"]
    assert finding.verdict == "wrong"
    assert "has no localqueues" in finding.text


@pytest.mark.parametrize("level", ["baseline", None])
def test_a_namespace_that_lets_more_in(
    kube: Cluster, operator: Operator, level: str | None
) -> None:
    prepare(operator)
    label_namespace(operator, level)
    (finding,) = found(kube)["namespace"]
    assert finding.verdict == "note"
    assert finding.text.startswith(f"Pod Security `{level or 'privileged'}` is enforced")
    assert "kubectl label namespace research" in str(finding.hint)


@pytest.fixture
def mlflow() -> Iterator[str]:
    """What answers as MLflow does where it is healthy, and at no other path."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 502)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_address_of_mlflow_for_people(kube: Cluster, operator: Operator, mlflow: str) -> None:
    prepare(operator)
    said = {}
    for url in (f"{mlflow}/", f"{mlflow}/proxy", "http://127.0.0.1:9"):
        tracking = {"uri": "http://pricon-tracking:5000", "publicUrl": url}
        (finding,) = found(kube, tracking=tracking)["MLflow"]
        said[url.removeprefix(mlflow)] = (finding.verdict, finding.text.removeprefix(url))
    assert said["/"] == ("ok", " answers")
    assert said["/proxy"] == ("note", " does not answer from here: status 502")
    assert said["http://127.0.0.1:9"] == (
        "note",
        " does not answer from here: NewConnectionError",
    )
