"""A whole run as a cluster runs it: from the rendered objects, by the cluster's own entrypoint.

Head, worker and submitter have what their pods would have: the environment that was rendered, a
read-only root, no home, no root user, a service account. Ray, the object store and the tracking
server are real, and all three ask for credentials.
"""

import base64
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from pricon.corpus.reader import open_corpus
from pricon.launch.bulletins import EndBulletin, PlanBulletin, ReportBulletin, read
from pricon.launch.kubernetes.rayjob import RenderedRun, render
from pricon.launch.submission import Submission
from pricon.spec.job import JobSpec
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from pricon.track.kept import kept_log
from tests.launch.kubernetes.clusters import make_profile
from tests.pod import needs_pods, pod_command
from tests.raycluster import end_node, free_ports
from tests.seaweed import ACCESS_KEY, SECRET_KEY
from tests.tiny import tiny_document
from tests.track.servers import MlflowServer

PASSWORD = "long-enough-for-mlflow"
SECRETS = {
    "objects/AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "objects/AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "tracking/MLFLOW_TRACKING_USERNAME": "admin",
    "tracking/MLFLOW_TRACKING_PASSWORD": PASSWORD,
}
AUTH = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "as-the-operator-gives-it-to-every-pod"}


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[MlflowServer]:
    server = MlflowServer.with_passwords(tmp_path, PASSWORD)
    server.start()
    yield server
    server.stop()


def rendered(
    folder: Path, s3: StorageSpec, s3_uri: str, tracking: str, **changes: Any
) -> RenderedRun:
    """The tiny job, rendered for a cluster of these servers."""
    document = tiny_document(folder, resources={"lanes": 2}, target="kubernetes", **changes)
    document["arms"] = ["majority", "e2e", "lupi", "pricon"]
    del document["output"], document["corpus"]["uri"]
    profile = make_profile(
        storage={
            "corpora": f"{s3_uri}/corpora",
            "output": f"{s3_uri}/runs",
            "endpointUrl": s3.endpoint_url,
            "region": s3.region,
            "secretName": "objects",
        },
        tracking={"uri": tracking, "secretName": "tracking"},
    )
    return render(JobSpec.model_validate(document), profile, Submission(id="first"))


@pytest.fixture
def run(tmp_path: Path, s3: StorageSpec, s3_uri: str, tracking: MlflowServer) -> RenderedRun:
    """A run that ends well."""
    return rendered(tmp_path, s3, s3_uri, tracking.uri)


def environment_of(template: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a pod's container, secrets looked up as the kubelet does."""
    found = dict(AUTH)
    for entry in template["spec"]["containers"][0]["env"]:
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        else:
            ref = entry["valueFrom"]["secretKeyRef"]
            found[entry["name"]] = SECRETS[f"{ref['name']}/{ref['key']}"]
    return found


class Pods:
    """The pods of a run, started as KubeRay does."""

    def __init__(self, run: RenderedRun, log: IO[bytes]) -> None:
        self.run = run
        self.log = log
        # Pods have ports of their own; these processes share the machine's.
        self.port, self.dashboard, self.client, *self.agents = free_ports(5)
        self.files = {name: text.encode() for name, text in run.config_map["data"].items()}
        self.spec = run.ray_job["spec"]
        self.cluster = self.spec["rayClusterSpec"]

    def start_head(self) -> "subprocess.Popen[bytes]":
        group = self.cluster["headGroupSpec"]
        ports = {
            "port": self.port,
            "dashboard-port": self.dashboard,
            "ray-client-server-port": self.client,
        }
        ports["dashboard-agent-listen-port"] = self.agents[0]
        return self._start(group, {**ports, "dashboard-host": "127.0.0.1"}, "--head", self.files)

    def start_worker(self) -> "subprocess.Popen[bytes]":
        (group,) = self.cluster["workerGroupSpecs"]
        place = {
            "address": f"127.0.0.1:{self.port}",
            "num-cpus": 2,
            "dashboard-agent-listen-port": self.agents[1],
        }
        return self._start(group, place, "--block", {})

    def submit(self) -> "subprocess.CompletedProcess[str]":
        """The submitter's pod: starts the driver and shows its log to the end."""
        address = f"--address http://127.0.0.1:{self.dashboard}"
        script = (
            f"until ray job list {address} > /dev/null 2>&1; do sleep 1; done; "
            f"ray job submit {address} --no-wait --submission-id tiny -- {self.spec['entrypoint']}"
            f" && ray job logs {address} --follow tiny"
        )
        template = self.spec["submitterPodTemplate"]
        command, outside = pod_command(["bash", "-c", script], environment_of(template), {})
        return subprocess.run(
            command, env=outside, capture_output=True, text=True, check=False, timeout=400
        )

    def status(self) -> str:
        """Of the Ray job, as the operator asks for it."""
        return str(self._ask("GET", "")["status"])

    def stop(self) -> None:
        """End the Ray job, as the operator does before it deletes a run."""
        assert self._ask("POST", "/stop")["stopped"]

    def _ask(self, method: str, what: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.dashboard}/api/jobs/tiny{what}",
            headers={"Authorization": f"Bearer {AUTH['RAY_AUTH_TOKEN']}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _start(
        self, group: Mapping[str, Any], more: Mapping[str, Any], flag: str, files: Any
    ) -> "subprocess.Popen[bytes]":
        parameters = {**group["rayStartParams"], **more}
        options = [f"--{name}={value}" for name, value in parameters.items()]
        start = ["ray", "start", flag, "--block", *options]
        command, outside = pod_command(start, environment_of(group["template"]), files)
        return subprocess.Popen(command, env=outside, stdout=self.log, stderr=self.log)


@contextmanager
def started(pods: Pods) -> Iterator[list["subprocess.Popen[bytes]"]]:
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        nodes.append(pods.start_head())
        _await_port(pods.dashboard)
        nodes.append(pods.start_worker())
        yield nodes
    finally:
        for node in reversed(nodes):
            end_node(node)


def _await_port(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.3)
    raise AssertionError("the head's dashboard does not answer")


def mlflow_runs(server: MlflowServer) -> list[dict[str, Any]]:
    """All runs of all experiments, asked for with the password."""

    def ask(what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"{server.uri}/api/2.0/mlflow/{what}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    experiments = ask("experiments/search", {"max_results": 10})["experiments"]
    ids = [experiment["experiment_id"] for experiment in experiments]
    answer = ask("runs/search", {"experiment_ids": ids, "max_results": 1000})
    found: list[dict[str, Any]] = answer.get("runs", [])
    return found


@needs_pods
@pytest.mark.s3
@pytest.mark.ray
@pytest.mark.tracking
def test_a_run_by_the_clusters_own_entrypoint(
    run: RenderedRun,
    s3: StorageSpec,
    tracking: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (tmp_path / "pods.log").open("wb") as log:
        pods = Pods(run, log)
        with started(pods):
            done = pods.submit()
            assert pods.status() == "SUCCEEDED"
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    said = [bulletin for line in lines if (bulletin := read(line)) is not None]
    assert said[-1] == EndBulletin(exit_code=0, cause="done")
    plan, report = (one for one in said if isinstance(one, PlanBulletin | ReportBulletin))
    assert isinstance(plan, PlanBulletin)
    assert isinstance(report, ReportBulletin)
    assert report.complete
    assert sum(bulletin.pricon == "trial" for bulletin in said) == 8

    corpus = open_corpus(open_storage(run.job.corpus.uri, s3))
    assert corpus.manifest.generated
    folder = open_storage(plan.output, s3)
    assert folder.exists("report.html")
    assert json.loads(folder.read("results.json"))["run_id"] == plan.run_id

    recorded = mlflow_runs(tracking)
    assert {one["info"]["status"] for one in recorded} == {"FINISHED"}
    assert len(recorded) == 1 + 8, "the job and its trials"
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, SECRETS[f"tracking/{name}"])
    assert kept_log(tracking.uri, run.handle) == [line for line in lines if read(line) is not None]
    for secret in (PASSWORD, SECRET_KEY):
        assert secret not in done.stdout + done.stderr
        assert secret not in (tmp_path / "pods.log").read_text(errors="replace")


@needs_pods
@pytest.mark.s3
@pytest.mark.ray
@pytest.mark.tracking
def test_a_run_that_is_cancelled_tells_mlflow_so(
    s3: StorageSpec,
    s3_uri: str,
    tracking: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = rendered(tmp_path, s3, s3_uri, tracking.uri, seeds=[*range(40)])
    is_trained = threading.Event()

    def stop() -> None:
        until = time.monotonic() + 200
        while time.monotonic() < until and not is_trained.wait(0.5):
            if any(one["info"]["status"] == "FINISHED" for one in mlflow_runs(tracking)):
                break
        pods.stop()

    with (tmp_path / "pods.log").open("wb") as log:
        pods = Pods(run, log)
        with started(pods), ThreadPoolExecutor() as other:
            stopped = other.submit(stop)
            done = pods.submit()
            is_trained.set()
            stopped.result()
            assert pods.status() == "STOPPED", done.stdout[-3000:]
    recorded = mlflow_runs(tracking)
    (parent,) = (one for one in recorded if one["info"]["run_name"].startswith("tiny "))
    assert parent["info"]["status"] == "KILLED"
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, SECRETS[f"tracking/{name}"])
    lines = kept_log(tracking.uri, run.handle)
    assert lines is not None
    end = read(lines[-1])
    assert isinstance(end, EndBulletin)
    assert (end.exit_code, end.cause) == (130, "interrupted")


@needs_pods
@pytest.mark.s3
@pytest.mark.ray
def test_a_mistake_leaves_the_operator_nothing_to_try_again(
    s3: StorageSpec, s3_uri: str, tmp_path: Path
) -> None:
    """KubeRay makes a new cluster for a Ray job that FAILED; STOPPED is Complete for it."""
    nowhere = "http://127.0.0.1:9"  # not asked before the plan stands
    run = rendered(tmp_path, s3, s3_uri, nowhere, folds={"count": 20})
    with (tmp_path / "pods.log").open("wb") as log:
        pods = Pods(run, log)
        with started(pods):
            done = pods.submit()
            assert pods.status() == "STOPPED"
    assert done.returncode == 0, "so the submitter's Job is complete as well"
    said = [bulletin for line in done.stdout.splitlines() if (bulletin := read(line)) is not None]
    end = said[-1]
    assert isinstance(end, EndBulletin)
    assert (end.exit_code, end.cause) == (2, "input")
    assert "20 folds asked for" in str(end.message)
