"""What `pricon doctor` finds before it looks at what the owner prepared."""

from pathlib import Path

import pytest

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.doctor import examine
from pricon.launch.kubernetes.finding import Finding
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, ray_job
from tests.launch.kubernetes.premises import prepare


def found(cluster: Cluster, check: str) -> Finding:
    (finding,) = [one for one in examine(cluster) if one.check == check]
    return finding


def test_all_is_well(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    findings = [*examine(kube)]
    assert [one.check for one in findings if one.verdict != "ok"] == []
    said = {one.check: one.text for one in findings[:3]}
    assert said == {
        "API server": f"{api.url}, Kubernetes v1.36.2",
        "permissions": "all 13 that sending and following runs takes, in namespace `research`",
        "KubeRay": "RayJobs are known; 0 runs are here",
    }


def test_nothing_is_stored(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    prepare(operator)
    before = dict(api.store.objects)
    [*examine(kube)]
    assert api.store.objects == before
    assert api.times("create", "rayjobs") == 2  # dry runs, one for each pool


@pytest.mark.parametrize(
    ("version", "verdict", "said"),
    [
        ("v1.32.0", "ok", "Kubernetes v1.32.0"),
        ("v1.37.2-gke.100", "ok", "Kubernetes v1.37.2-gke.100"),
        ("v1.31.9", "wrong", "v1.31.9, older than what the chart is for (1.32 to 1.37)"),
        ("v1.38.0", "note", "v1.38.0, newer than what the chart is for (1.32 to 1.37)"),
        ("v2.0.0", "note", "v2.0.0, newer than what the chart is for (1.32 to 1.37)"),
    ],
)
def test_versions_of_kubernetes(
    kube: Cluster, api: ApiServer, version: str, verdict: str, said: str
) -> None:
    api.version = version
    finding = found(kube, "API server")
    assert finding.verdict == verdict
    assert finding.text.endswith(said)
    assert (finding.hint is not None) == (verdict == "wrong")


def test_something_else_answers(kube: Cluster, api: ApiServer) -> None:
    api.version = ""
    finding = found(kube, "API server")
    assert finding.verdict == "wrong"
    assert finding.text == f"{api.url} does not say which version of Kubernetes it is"
    assert "proxy" in str(finding.hint)


def test_permissions_that_are_missing(kube: Cluster, api: ApiServer) -> None:
    api.forbidden |= {("create", "rayjobs"), ("get", "pods/log"), ("list", "events")}
    finding = found(kube, "permissions")
    assert finding.verdict == "wrong"
    assert finding.text == (
        "you may not create rayjobs, get pods/log, list events in namespace `research`"
    )
    assert "`submitters` of the chart's values" in str(finding.hint)


def test_there_is_no_kuberay_and_no_chart(kube: Cluster, api: ApiServer) -> None:
    api.has_kuberay = False
    findings = {one.check: one for one in examine(kube)}
    assert findings["KubeRay"].text.startswith("KubeRay is not installed")
    assert "helm install kuberay-operator" in str(findings["KubeRay"].hint)
    assert findings["profile"].text.startswith("the chart `pricon` is not installed")
    assert [*findings] == ["API server", "permissions", "KubeRay", "profile"]


def test_a_namespace_that_is_not_there(api: ApiServer, tmp_path: Path) -> None:
    elsewhere = connect(tmp_path, api.url, namespace="reserach")
    (finding,) = [one for one in examine(elsewhere) if one.verdict == "wrong"]
    assert finding.check == "namespace"
    assert finding.text == "there is no namespace `reserach`"
    assert finding.hint == (
        "is it misspelt? `--namespace` takes another, `kubectl get namespaces` lists them, and "
        "deploy/README.md says how one is made"
    )


def test_who_may_not_look_at_namespaces_hears_of_the_chart(api: ApiServer, tmp_path: Path) -> None:
    api.forbidden.add(("get", "namespaces"))
    elsewhere = connect(tmp_path, api.url, namespace="reserach")
    (finding,) = [one for one in examine(elsewhere) if one.verdict == "wrong"]
    assert finding.text.startswith("the chart `pricon` is not installed in namespace `reserach`")


def test_pools_are_not_asked_about_without_kuberay(
    kube: Cluster, api: ApiServer, operator: Operator
) -> None:
    prepare(operator)
    api.has_kuberay = False
    findings = [*examine(kube)]
    assert [one.check for one in findings if one.verdict == "wrong"] == ["KubeRay"]
    pools = [one.text for one in findings if one.check.startswith("pool ")]
    assert len(pools) == 2
    assert all("find room on 1 of 2 nodes" in text for text in pools)


def test_who_may_do_nothing_hears_it_once(kube: Cluster, api: ApiServer) -> None:
    kinds = ("rayjobs", "configmaps", "pods", "pods/log", "events")
    verbs = ("create", "get", "list", "watch", "delete")
    api.forbidden |= {(verb, kind) for verb in verbs for kind in kinds}
    wrong = [one for one in examine(kube) if one.verdict == "wrong"]
    assert [one.check for one in wrong] == ["permissions"]


def test_who_may_not_even_ask_what_he_may_hears_what_fails(
    kube: Cluster, api: ApiServer, operator: Operator
) -> None:
    prepare(operator)
    api.forbidden |= {("create", "selfsubjectaccessreviews"), ("get", "/version")}
    notes = {one.check: one.text for one in examine(kube) if one.verdict == "note"}
    assert notes == {
        "API server": f"{api.url} tells nobody like you which version of Kubernetes it is",
        "permissions": "the API server tells nobody like you what he may do; what fails is told "
        "below",
    }
    api.forbidden.add(("create", "rayjobs"))
    pools = [one for one in examine(kube) if one.check == "pool cpu"]
    assert [one.verdict for one in pools] == ["wrong", "ok"]
    assert pools[0].text == "user `ada` may not create rayjobs in namespace `research`"
    api.forbidden |= {("list", "rayjobs"), ("get", "configmaps")}
    wrong = {one.check: one.text for one in examine(kube) if one.verdict == "wrong"}
    assert wrong == {
        "KubeRay": "user `ada` may not list rayjobs in namespace `research`",
        "profile": "user `ada` may not get configmaps in namespace `research`",
    }


def test_permissions_that_nobody_can_tell(kube: Cluster, api: ApiServer) -> None:
    api.evaluation_error = "webhook is down"
    api.forbidden.add(("create", "rayjobs"))
    finding = found(kube, "permissions")
    assert finding.verdict == "wrong"
    assert finding.text == "the API server cannot say what you may do: webhook is down"
    assert "trouble of its own" in str(finding.hint)


def test_an_operator_that_does_nothing(kube: Cluster, operator: Operator) -> None:
    operator.add(ray_job(creationTimestamp="2026-11-24T12:00:00Z"))
    finding = found(kube, "KubeRay")
    assert finding.verdict == "wrong"
    assert finding.text == (
        f"nobody looks at RayJobs: run `{HANDLE}` has had no status since 2026-11-24T12:00:00Z"
    )
    assert "is the KubeRay operator running" in str(finding.hint)
    operator.status(jobDeploymentStatus="Running")
    assert found(kube, "KubeRay").text == "RayJobs are known; 1 run is here"


def test_who_cannot_log_in_hears_it_once(api: ApiServer, tmp_path: Path) -> None:
    (finding,) = examine(connect(tmp_path, api.url, token="of last month"))
    assert (finding.check, finding.verdict) == ("API server", "wrong")
    assert "does not accept the credentials" in finding.text


def test_something_else_that_answers_is_told_once(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", "/version", status=200, body="<html>Welcome to the hotel</html>")
    (finding,) = examine(kube)
    assert (finding.check, finding.verdict) == ("API server", "wrong")
    assert finding.text.endswith("answers, but not as an API server does")


def test_a_server_that_is_away_is_told_once(tmp_path: Path) -> None:
    (finding,) = examine(connect(tmp_path, "http://127.0.0.1:9"))
    assert (finding.check, finding.verdict) == ("API server", "wrong")
    assert "does not answer" in finding.text
