"""A whole run as a cluster runs it: from the rendered objects, by the cluster's own entrypoint."""

import base64
import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pricon.corpus.reader import open_corpus
from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ReportBulletin,
    UsageBulletin,
    read,
)
from pricon.launch.kubernetes.rayjob import RenderedRun
from pricon.storage import open_storage
from pricon.track.kept import kept_log
from tests.end_to_end.pods import (
    PASSWORD,
    SECRETS,
    WORKERS,
    Pods,
    Premises,
    premises,
    rendered,
)
from tests.helm.binaries import Binary
from tests.helm.render import ci_file, render
from tests.pod import needs_pods
from tests.seaweed import SECRET_KEY

pytestmark = [
    needs_pods,
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.tracking,
]


@pytest.fixture(scope="module")
def namespace(helm: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """Everything of the chart; every test has a job of another name in it."""
    chart = render(helm, ci_file("object-store"))
    with premises(chart, tmp_path_factory.mktemp("namespace")) as found:
        yield found


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, SECRETS[f"pricon-tracking-run/{name}"])


@contextmanager
def started(run: RenderedRun, namespace: Premises, folder: Path) -> Iterator[Pods]:
    """The pods of a run; what head and workers say is in `pods.log`."""
    with (folder / "pods.log").open("wb") as log:
        pods = Pods(run, namespace.places, log)
        with pods.started():
            yield pods


def mlflow_runs(namespace: Premises, job: str) -> list[dict[str, Any]]:
    """All runs of a job, asked for with the password."""

    def ask(what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"{namespace.tracking.uri}/api/2.0/mlflow/{what}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    experiments = ask("experiments/search", {"max_results": 10})["experiments"]
    ids = [one["experiment_id"] for one in experiments if one["name"] == job]
    if not ids:
        return []
    answer = ask("runs/search", {"experiment_ids": ids, "max_results": 1000})
    found: list[dict[str, Any]] = answer.get("runs", [])
    return found


def test_a_run_by_the_clusters_own_entrypoint(namespace: Premises, tmp_path: Path) -> None:
    """It needs no way that policies close, and calls nobody: Ray's makers, MLflow's, or others.

    A head asks which cloud it is in when it starts, also where it is told to report nothing.
    """
    run = rendered(namespace, tmp_path, name="whole")
    with started(run, namespace, tmp_path) as pods:
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

    corpus = open_corpus(open_storage(run.job.corpus.uri, namespace.storage))
    assert corpus.manifest.generated
    folder = open_storage(plan.output, namespace.storage)
    assert folder.exists("report.html")
    assert json.loads(folder.read("results.json"))["run_id"] == plan.run_id

    recorded = mlflow_runs(namespace, "whole")
    assert {one["info"]["status"] for one in recorded} == {"FINISHED"}
    assert len(recorded) == 1 + 8, "the job and its trials"
    assert_shared_out(said, recorded)
    kept = kept_log(namespace.tracking.uri, run.handle)
    assert kept == [line for line in lines if read(line) is not None]
    for secret in (PASSWORD, SECRET_KEY):
        assert secret not in done.stdout + done.stderr
        assert secret not in (tmp_path / "pods.log").read_text(errors="replace")
    for name in ("head", "submitter", *WORKERS):
        place = namespace.places[name]
        assert place.refused() <= {("169.254.169.254", 80)}, f"{name} met a policy"
        assert place.asked() <= {"metadata.google.internal"}, f"{name} asked for somebody"


def assert_shared_out(said: list[Bulletin], recorded: list[dict[str, Any]]) -> None:
    """What the pods took is the run's, and most of it, by what it trained, its trials'."""
    used = [bulletin for bulletin in said if isinstance(bulletin, UsageBulletin)][-1]
    assert used.is_last
    by_arm = {arm: sum(hours.values()) for arm, hours in used.cells.items()}
    assert by_arm.keys() == {"e2e", "lupi", "pricon"}
    assert all(hours > 0 for hours in by_arm.values())
    trials: dict[str, float] = dict.fromkeys(by_arm, 0.0)
    for one in recorded:
        arm = next((p["value"] for p in one["data"].get("params", []) if p["key"] == "arm"), None)
        metrics = {metric["key"]: metric["value"] for metric in one["data"].get("metrics", [])}
        if arm in trials:
            trials[arm] += metrics["pod_hours"]
        elif arm is None:
            assert metrics["pod_hours"] == used.pod_hours > sum(by_arm.values())
    assert trials == pytest.approx(by_arm, abs=1e-5)


def test_a_run_that_is_cancelled_tells_mlflow_so(namespace: Premises, tmp_path: Path) -> None:
    run = rendered(namespace, tmp_path, name="cancelled", seeds=[*range(40)])
    is_trained = threading.Event()

    def stop(pods: Pods) -> None:
        until = time.monotonic() + 200
        while time.monotonic() < until and not is_trained.wait(0.5):
            recorded = mlflow_runs(namespace, "cancelled")
            if any(one["info"]["status"] == "FINISHED" for one in recorded):
                break
        pods.stop()

    with started(run, namespace, tmp_path) as pods, ThreadPoolExecutor() as other:
        stopped = other.submit(stop, pods)
        done = pods.submit()
        is_trained.set()
        stopped.result()
        assert pods.status() == "STOPPED", done.stdout[-3000:]
    recorded = mlflow_runs(namespace, "cancelled")
    (parent,) = (one for one in recorded if one["info"]["run_name"].startswith("cancelled "))
    assert parent["info"]["status"] == "KILLED"
    lines = kept_log(namespace.tracking.uri, run.handle)
    assert lines is not None
    end = read(lines[-1])
    assert isinstance(end, EndBulletin)
    assert (end.exit_code, end.cause) == (130, "interrupted")


def test_a_mistake_leaves_the_operator_nothing_to_try_again(
    namespace: Premises, tmp_path: Path
) -> None:
    """KubeRay makes a new cluster for a Ray job that FAILED; STOPPED is Complete for it."""
    run = rendered(namespace, tmp_path, name="mistake", folds={"count": 20})
    with started(run, namespace, tmp_path) as pods:
        done = pods.submit()
        assert pods.status() == "STOPPED"
    assert done.returncode == 0, "so the submitter's Job is complete as well"
    said = [bulletin for line in done.stdout.splitlines() if (bulletin := read(line)) is not None]
    end = said[-1]
    assert isinstance(end, EndBulletin)
    assert (end.exit_code, end.cause) == (2, "input")
    assert "20 folds asked for" in str(end.message)
    assert not mlflow_runs(namespace, "mistake"), "MLflow hears of a run when its plan stands"
