"""What pricon-submit makes of the chart's profile fits what the chart allows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pricon.launch.kubernetes.rayjob import RenderedRun, render
from pricon.launch.submission import Submission
from pricon.spec.load import load_job
from tests.helm.binaries import Binary
from tests.helm.kinds import VERSIONS, complaints
from tests.helm.network import Peer, may_connect, role, selects
from tests.helm.notes import notes
from tests.helm.render import (
    CHART,
    FEATURES,
    KubernetesObject,
    ci_file,
    containers,
    environment,
    identity,
    named,
    pods,
    profile_of,
)
from tests.helm.render import render as render_chart
from tests.helm.restricted import violations
from tests.kuberay import check_strictly
from tests.safeguards.sources import ROOT

Charts = dict[str, list[KubernetesObject]]


def run_of(charts: Charts, feature: str) -> RenderedRun:
    """The job of `helm test`, as it is submitted where that feature is on."""
    job = load_job(CHART / "files" / "tiny.yaml")
    return render(job, profile_of(charts[feature]), Submission(id="5f1e"))


def run_pods(run: RenderedRun) -> dict[str, KubernetesObject]:
    """Pods of a run by their role."""
    spec = run.ray_job["spec"]
    cluster = spec["rayClusterSpec"]
    templates = [
        cluster["headGroupSpec"]["template"],
        *(group["template"] for group in cluster["workerGroupSpecs"]),
        spec["submitterPodTemplate"],
    ]
    return {pod["metadata"]["labels"]["pricon.dev/role"]: pod for pod in templates}


@pytest.mark.parametrize("feature", FEATURES)
def test_a_namespace_that_enforces_restricted_takes_them(charts: Charts, feature: str) -> None:
    run = run_of(charts, feature)
    check_strictly(run.ray_job)
    found = run_pods(run)
    assert found.keys() == {"head", "worker", "submitter"}
    for name, pod in found.items():
        assert violations(pod) == [], name
        for version in VERSIONS:
            assert complaints({"apiVersion": "v1", "kind": "Pod", **pod}, version) == [], name


@pytest.mark.parametrize("feature", FEATURES)
def test_what_they_name_is_there(charts: Charts, feature: str) -> None:
    known = {identity(entry) for entry in charts[feature]}
    for pod in run_pods(run_of(charts, feature)).values():
        spec = pod["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in known
        assert spec["automountServiceAccountToken"] is False
        if "priorityClassName" in spec:
            assert ("PriorityClass", spec["priorityClassName"]) in known
    queue = run_of(charts, feature).ray_job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name")
    assert queue is None or ("LocalQueue", queue) in known


@pytest.mark.parametrize("feature", ["default", "storage-keys", "tracking-elsewhere"])
def test_their_secrets_are_those_of_the_notes(
    charts: Charts, helm: Binary, noted_chart: Path, feature: str
) -> None:
    told = notes(helm, noted_chart, feature)
    for pod in run_pods(run_of(charts, feature)).values():
        for container in containers(pod):
            for value in environment(container).values():
                if value.startswith("secret:"):
                    name, _, key = value.removeprefix("secret:").partition("/")
                    (line,) = [text for text in told.splitlines() if f"generic {name} " in text]
                    assert key in line


def test_they_reach_each_other_and_the_services(charts: Charts) -> None:
    """By the labels that they really have."""
    objects = charts["object-store"]
    found = run_pods(run_of(charts, "object-store"))
    peers = {name: Peer(labels=pod["metadata"]["labels"]) for name, pod in found.items()}
    assert may_connect(objects, peers["submitter"], peers["head"], 8265)
    assert may_connect(objects, peers["worker"], peers["head"], 6379)
    assert may_connect(objects, peers["head"], peers["worker"], 31234)
    assert may_connect(objects, peers["head"], role("tracking"), 5000)
    for name in ("head", "worker"):
        assert may_connect(objects, peers[name], role("object-store"), 8333)
    assert not may_connect(objects, peers["submitter"], role("object-store"), 8333)
    assert not may_connect(objects, peers["worker"], Peer(address="10.0.0.1"), 443)
    # Only a head of a run has keys of the tracking server, and only heads may go there.
    keys = {name for name, pod in found.items() if "MLFLOW_TRACKING_USERNAME" in str(pod)}
    assert keys == {"head"}


def test_the_budget_protects_heads_and_submitters_of_runs(charts: Charts) -> None:
    """And nothing that never ends: a drain would wait for the shared cluster's head for ever."""
    objects = charts["shared-cluster"]
    (budget,) = [entry for entry in objects if entry["kind"] == "PodDisruptionBudget"]
    everybody = {**dict(pods(objects)), **run_pods(run_of(charts, "shared-cluster"))}
    assert "RayCluster/pricon-shared/head" in everybody
    protected = {
        name
        for name, pod in everybody.items()
        if selects(budget["spec"]["selector"], pod["metadata"]["labels"])
    }
    assert protected == {"head", "submitter"}


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_queue_covers_what_they_request(helm: Binary, gpus: int) -> None:
    """Kueue admits nothing that requests a resource which its ClusterQueue does not cover."""
    settings = (f"profile.pools.cpu.gpus={gpus}",)
    objects = render_chart(helm, ci_file("kueue"), settings=settings)
    (group,) = named(objects, "ClusterQueue", "pricon")["spec"]["resourceGroups"]
    requested = {
        resource
        for pod in run_pods(run_of({"kueue": objects}, "kueue")).values()
        for container in containers(pod)
        for resource in container["resources"]["requests"]
    }
    assert {"ephemeral-storage", *(["nvidia.com/gpu"] if gpus else [])} <= requested
    assert requested <= {*group["coveredResources"]}


def test_the_submitter_s_role_covers_what_is_sent(charts: Charts) -> None:
    (allowed,) = [entry for entry in charts["default"] if entry["kind"] == "Role"]
    run = run_of(charts, "default")
    for sent in (run.ray_job, run.config_map):
        group, plural = sent["apiVersion"].rpartition("/")[0], f"{sent['kind'].lower()}s"
        rules = [
            r for r in allowed["rules"] if group in r["apiGroups"] and plural in r["resources"]
        ]
        assert {"create", "get", "delete"} <= {*rules[0]["verbs"]}
    assert yaml.safe_load(run.config_map["data"]["job.yaml"])["name"] == "helm-test"


@pytest.mark.parametrize(
    ("chart", "pod", "file", "pool"),
    [
        ("default", "pricon-test-job", "tiny.yaml", "cpu"),
        ("gpu-pools", "pricon-test-job-gpu-a100", "tiny-gpu-a100.yaml", "gpu-a100"),
    ],
)
def test_the_command_of_helm_test_is_one_of_pricon(
    chart: str, pod: str, file: str, pool: str, charts: Charts, tmp_path: Path
) -> None:
    """As its pod runs it, but for `--dry-run`: no cluster is here, and the profile is a file."""
    objects = charts[chart]
    (container,) = named(objects, "Pod", pod)["spec"]["containers"]
    program, job, *options = container["command"]
    assert (program, job) == ("pricon-submit", f"/job/{file}")
    assert "--rerun" in options, "a job that has finished says nothing of a new image"
    profile = named(objects, "ConfigMap", options[-1])["data"]["profile.yaml"]
    (tmp_path / "profile.yaml").write_text(profile, encoding="utf-8")
    text = named(objects, "ConfigMap", "pricon-test-job")["data"][file]
    (tmp_path / file).write_text(text, encoding="utf-8")
    start = "from pricon.cli.main import submit_main; submit_main()"
    given = [str(tmp_path / file), *options[:-1], str(tmp_path / "profile.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", start, *given, "--dry-run"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kind: RayJob" in done.stdout
    assert "serviceAccountName: pricon-run" in done.stdout
    assert f"groupName: {pool}\n" in done.stdout


@pytest.mark.parametrize("feature", ["default", "gpu-pools"])
def test_the_job_of_helm_test_waits_for_what_is_faster_to_check(
    charts: Charts, feature: str
) -> None:
    """Helm runs hooks by weight and then by name, and stops at the first that fails."""
    weights = {
        entry["metadata"]["name"].removeprefix("pricon-test-"): annotations["helm.sh/hook-weight"]
        for entry in charts[feature]
        if "helm.sh/hook" in (annotations := entry["metadata"].get("annotations") or {})
    }
    jobs = {name for name in weights if name.partition("-")[0] == "job"}
    assert jobs
    assert weights == {name: "1" if name in jobs else "0" for name in weights}
