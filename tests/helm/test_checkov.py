"""Policies of checkov over all that the chart renders and all that is sent for a run."""

import json
import re
from pathlib import Path

import pytest

from tests.helm.binaries import checkov
from tests.helm.policies import Finding, Findings, look_at, reasons, write
from tests.helm.render import KubernetesObject, pods
from tests.helm.test_runs import run_of, run_pods

Charts = dict[str, list[KubernetesObject]]
OPEN_POD: KubernetesObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "open"},
    "spec": {
        "hostNetwork": True,
        "containers": [{"name": "c", "image": "x:latest", "securityContext": {"privileged": True}}],
    },
}


def as_pod(name: str, template: KubernetesObject) -> KubernetesObject:
    """A pod of a template inside of an object that checkov does not know."""
    metadata = {**template["metadata"], "name": name, "namespace": "affect"}
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}


def everything(charts: Charts) -> list[KubernetesObject]:
    """Objects of all features, each once, and the pods that Ray's objects lead to."""
    texts = {json.dumps(entry, sort_keys=True) for objects in charts.values() for entry in objects}
    found: list[KubernetesObject] = [json.loads(text) for text in sorted(texts)]
    for feature, objects in charts.items():
        for owner, pod in pods(objects):
            if owner.startswith("RayCluster/"):
                found.append(as_pod(owner.lower().replace("/", "-"), pod))
        for role, pod in run_pods(run_of(charts, feature)).items():
            found.append(as_pod(f"run-{role}", pod))
    return found


@pytest.fixture(scope="session")
def findings(charts: Charts, binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Of one start of checkov, which takes seconds: over everything, and over an open pod."""
    folder = tmp_path_factory.mktemp("policies")
    for index, entry in enumerate(everything(charts)):
        write([entry], folder, f"{index:03d}-")
    write([OPEN_POD], folder)
    return look_at(checkov(binaries), folder)


def of_ours(findings: Findings) -> list[Finding]:
    return [one for one in findings.failed if one.file != "Pod-open.yaml"]


def test_no_policy_is_broken_without_a_reason(findings: Findings) -> None:
    allowed = reasons()
    broken = [one for one in of_ours(findings) if one.check not in allowed]
    assert broken == []
    assert findings.passed > 1000


def test_no_reason_outlives_what_it_is_for(findings: Findings) -> None:
    assert reasons().keys() == {one.check for one in of_ours(findings)}


@pytest.mark.parametrize(
    ("check", "objects"),
    [
        ("CKV_K8S_8", r"Pod-(pricon-test|raycluster-pricon-shared|run)-[\w-]+"),
        ("CKV_K8S_9", r"Pod-(pricon-test|raycluster-pricon-shared|run)-[\w-]+"),
        ("CKV_K8S_11", r"(Pod-pricon-test|Deployment-pricon|StatefulSet-pricon)-[\w-]+"),
        ("CKV_K8S_38", r"Pod-pricon-test-(job(-[a-z0-9-]+)?|permissions)"),
    ],
)
def test_an_exception_covers_what_its_reason_names(
    findings: Findings, check: str, objects: str
) -> None:
    names = {
        one.file.split("-", 1)[1].removesuffix(".yaml")
        for one in of_ours(findings)
        if one.check == check
    }
    assert [name for name in sorted(names) if not re.fullmatch(objects, name)] == []


def test_an_open_pod_is_found(findings: Findings) -> None:
    found = {one.check for one in findings.failed if one.file == "Pod-open.yaml"}
    assert {"CKV_K8S_16", "CKV_K8S_19", "CKV_K8S_14", "CKV_K8S_20", "CKV_K8S_22"} <= found
