"""What the owner prepared, as owner and submitter see it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.finding import Finding
from pricon.launch.kubernetes.premises import SECRETS, premises
from pricon.launch.kubernetes.request import Request
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.clusters import IMAGE, make_profile
from tests.launch.kubernetes.operator import Operator
from tests.launch.kubernetes.premises import (
    chart_pod,
    label_namespace,
    named,
    prepare,
)

ROOM = "its pods find room on 1 of 2 nodes, when these are empty"


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
        "head": [ROOM],
        "pool cpu": ["the API server accepts a run with up to 8 worker pods", ROOM],
        "pool gpu-a100": ["the API server accepts a run with up to 4 worker pods", ROOM],
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
    assert texts(findings["pool gpu-a100"]) == [
        "the API server accepts a run with up to 4 worker pods"
    ]
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


def test_a_cluster_that_has_no_nodes_yet(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    for name in ("cpu-1", "gpu-1"):
        api.store.delete("nodes", name)
    (finding,) = found(kube)["nodes"]
    assert (finding.verdict, finding.text) == ("note", "there are none yet")


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


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {
                "containerStatuses": [
                    {
                        "name": "mlflow",
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                        "lastState": {"terminated": {"reason": "OOMKilled"}},
                    }
                ]
            },
            ": CrashLoopBackOff: back-off (before, it ended as OOMKilled)",
        ),
        ({"message": "The node was low on memory."}, ": The node was low on memory."),
        (
            {"conditions": [{"type": "Ready", "status": "False", "message": "unready: [mlflow]"}]},
            ": unready: [mlflow]",
        ),
        ({}, ""),
    ],
)
def test_why_a_server_is_not_ready(
    kube: Cluster, api: ApiServer, operator: Operator, status: Object, expected: str
) -> None:
    prepare(operator)
    api.store.delete("pods", "pricon-tracking-0")
    operator.add(chart_pod("tracking", "t", status))
    assert texts(found(kube)["tracking"]) == [f"pod `t` is not ready{expected}"]


def test_beside_a_server_that_is_ready_another_may_start(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    operator.add(chart_pod("tracking", "pricon-tracking-1", {"phase": "Pending"}))
    assert [one.verdict for one in found(kube)["tracking"]] == ["ok", "note"]


def test_a_runtime_class_that_nobody_made(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    pool = {"cpus": 4, "memory": "8Gi", "maxWorkers": 1, "runtimeClassName": "nvidia"}
    (finding,) = found(kube, pools={"cpu": pool})["runtimeclasses"]
    assert finding.text == (
        "there is no RuntimeClass `nvidia`, which `pools.cpu.runtimeClassName` of the profile names"
    )


def test_pods_that_have_ended_have_others_in_their_place(kube: Cluster, operator: Operator) -> None:
    prepare(operator)
    operator.add(chart_pod("tracking", "pricon-tracking-evicted", {"phase": "Failed"}))
    going = chart_pod("tracking", "pricon-tracking-going", {"phase": "Running"})
    going["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    operator.add(going)
    assert texts(found(kube)["tracking"]) == ["pod `pricon-tracking-0` is ready"]


@pytest.mark.parametrize(
    ("uri", "is_expected"),
    [
        ("http://pricon-tracking.research.svc:5000", True),
        ("http://pricon-tracking.research.svc.cluster.local:5000", True),
        ("http://pricon-tracking.elsewhere.svc:5000", False),
        ("https://mlflow.example.org", False),
    ],
)
def test_a_server_of_this_namespace_that_does_not_run(
    kube: Cluster, api: ApiServer, operator: Operator, uri: str, is_expected: bool
) -> None:
    prepare(operator)
    api.store.delete("pods", "pricon-tracking-0")
    findings = found(kube, tracking={"uri": uri}).get("tracking", [])
    assert [one.verdict for one in findings] == (["note"] if is_expected else [])
    if findings:
        assert findings[0].text == f"no pod of the chart runs behind {uri}, which the profile names"
        assert "fine where it is a server of your own" in str(findings[0].hint)
        assert "scaled to 0" in str(findings[0].hint)


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
    assert finding.text == (
        "the cluster has no LocalQueues of kueue.x-k8s.io/v1beta2, and `queue` of the profile "
        "names `team`"
    )
    assert "installs what serves them, in this version" in str(finding.hint)


@pytest.mark.parametrize("level", ["baseline", None])
def test_a_namespace_that_lets_more_in(
    kube: Cluster, operator: Operator, level: str | None
) -> None:
    prepare(operator)
    label_namespace(operator, level)
    (finding,) = found(kube)["namespace"]
    assert finding.verdict == "note"
    is_set = f"Pod Security `{level}` is enforced" if level else "no level of Pod Security is set"
    assert finding.text == f"{is_set}, and pods of pricon pass `restricted`"
    assert "kubectl label namespace research" in str(finding.hint)


@pytest.fixture
def mlflow() -> Iterator[str]:
    """What answers as MLflow does where it is healthy, and at no other path."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            codes = {"/health": 200, "/login/health": 302}
            self.send_response(codes.get(self.path, 502))
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
    for url in (f"{mlflow}/", f"{mlflow}/proxy", f"{mlflow}/login", "http://127.0.0.1:9"):
        tracking = {"uri": "http://pricon-tracking:5000", "publicUrl": url}
        (finding,) = found(kube, tracking=tracking)["MLflow"]
        said[url.removeprefix(mlflow)] = (finding.verdict, finding.text.removeprefix(url))
    assert said["/"] == ("ok", " answers")
    assert said["/proxy"] == ("note", " is not healthy: status 502")
    assert said["/login"] == ("note", " leads elsewhere, perhaps to a login")
    assert said["http://127.0.0.1:9"] == (
        "note",
        " does not answer from here: NewConnectionError",
    )
