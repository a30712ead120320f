"""MLflow itself: a database, and servers that are killed, closed to us, or none."""

import base64
import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pricon.errors import LaunchError
from pricon.report.results import TrialResult
from pricon.track.background import RecordRefusedError
from pricon.track.mlflow import MlflowRecorder
from pricon.track.open import open_tracker
from pricon.track.records import FinishRecord, TrialRecord, trial_record
from tests.report.grids import fail
from tests.track.examples import make_results, make_run_record
from tests.track.servers import MlflowServer


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all tests, since making it takes seconds; each test has a job of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


class Job:
    """What MLflow holds of one job, and the records of its run."""

    def __init__(self, uri: str, name: str, artifacts: Path) -> None:
        self.uri = uri
        self.client = MlflowClient(uri)
        self.run_record = make_run_record(name)
        self._artifacts = artifacts

    def recorder(self) -> MlflowRecorder:
        """A fresh one, as after a restart."""
        return MlflowRecorder(self.uri, self._artifacts.as_uri())

    def trial(self, result: TrialResult) -> TrialRecord:
        return trial_record(self.run_record, result, {"accuracy": 0.9})

    def finish(self, **changes: object) -> FinishRecord:
        name, run_id = self.run_record.job_name, self.run_record.run_id
        record = FinishRecord(job_name=name, run_id=run_id, status="FINISHED")
        return replace(record, **changes)  # type: ignore[arg-type]  # of a test's own choice

    def runs(self) -> list[Run]:
        experiment = self.client.get_experiment_by_name(self.run_record.job_name)
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id]))

    def parent(self) -> Run:
        (run,) = [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]
        return run

    def children(self) -> dict[str, Run]:
        trials = [run for run in self.runs() if "mlflow.parentRunId" in run.data.tags]
        by_id = {run.data.tags["pricon.trial_id"]: run for run in trials}
        assert len(by_id) == len(trials), "a trial has two runs"
        return by_id

    def curve(self, run: Run, key: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, key)
        return [(metric.step, metric.value) for metric in history]


@pytest.fixture
def job(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(database, request.node.name.replace("_", "-")[:50], tmp_path / "artifacts")


ADMIN_PASSWORD = "long-enough-for-mlflow"
LOSSES = [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25)]


def test_a_run_and_its_trials(job: Job, tmp_path: Path) -> None:
    results = make_results()
    recorder = job.recorder()
    recorder.apply(job.run_record)
    assert job.parent().info.status == "RUNNING"
    for result in results:
        recorder.apply(job.trial(result))
    recorder.apply(job.finish(metrics={"accuracy/pricon": 0.9}, artifacts={"report.md": b"# r"}))
    parent, children = job.parent(), job.children()
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["pricon.run_id"] == "run0"
    assert parent.data.params == {"student.encoder.width": "96", "resources.lanes": "1"}
    assert parent.data.metrics == {"accuracy/pricon": 0.9}
    assert parent.inputs is not None
    (read,) = parent.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("again", "c" * 36)
    assert set(children) == {result.trial.id for result in results}
    child = children["pricon-audio-heist-0-0"]
    assert child.info.status == "FINISHED"
    assert child.info.end_time >= child.info.start_time
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["pricon.git_commit"] == "0123abc"
    assert child.data.params["arm"] == "pricon"
    assert child.data.metrics["accuracy"] == 0.9
    assert job.curve(child, "student/validation_loss") == LOSSES
    found = {path.name: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert found == {"job.yaml": b"name: again-tiny\n", "plan.json": b"{}", "report.md": b"# r"}


def record_all(job: Job, results: Sequence[TrialResult]) -> None:
    recorder = job.recorder()
    recorder.apply(job.run_record)
    for result in results:
        recorder.apply(job.trial(result))
    recorder.apply(job.finish(metrics={"accuracy": 0.9}))


def test_recording_everything_again_adds_nothing(job: Job) -> None:
    results = make_results()
    record_all(job, results)
    before = {trial: run.info.run_id for trial, run in job.children().items()}
    record_all(job, results)
    assert {trial: run.info.run_id for trial, run in job.children().items()} == before
    for child in job.children().values():
        assert job.curve(child, "teacher/training_loss") == LOSSES
        assert job.curve(child, "accuracy") == [(0, 0.9)]
    assert job.curve(job.parent(), "accuracy") == [(0, 0.9)]
    read = job.parent().inputs
    assert read is not None
    assert len(read.dataset_inputs) == 1


def test_a_crash_in_the_middle_of_a_trial_leaves_no_gap_and_no_double(job: Job) -> None:
    record = job.trial(make_results()[0])
    torn = replace(record, points=tuple(p for p in record.points if p.step < 2), status="RUNNING")
    recorder = job.recorder()
    recorder.apply(job.run_record)
    recorder.apply(torn)
    again = job.recorder()
    again.apply(job.run_record)
    again.apply(record)
    (child,) = job.children().values()
    assert job.curve(child, "student/training_loss") == LOSSES
    assert child.info.status == "FINISHED"


def test_a_trial_that_failed_first_and_finished_then_tells_the_last(job: Job) -> None:
    (result, *_) = make_results()
    recorder = job.recorder()
    recorder.apply(job.run_record)
    recorder.apply(job.trial(fail(result)))
    (child,) = job.children().values()
    assert child.info.status == "FAILED"
    assert child.data.tags["pricon.error"] == "loss is not finite in epoch 3"
    recorder.apply(job.trial(result))
    (child,) = job.children().values()
    assert child.info.status == "FINISHED"
    assert "pricon.error" not in child.data.tags


@pytest.mark.parametrize(("status", "closed_as"), [("FINISHED", "FAILED"), ("KILLED", "KILLED")])
def test_no_trial_stays_open_when_its_run_ends(
    database: str, tmp_path: Path, status: str, closed_as: str
) -> None:
    job = Job(database, f"open-trials-{status.lower()}", tmp_path)
    recorder = job.recorder()
    recorder.apply(job.run_record)
    recorder.apply(replace(job.trial(make_results()[0]), status="RUNNING"))
    recorder.apply(job.finish(status=status))
    (child,) = job.children().values()
    assert child.info.status == closed_as
    assert job.parent().info.status == status


def test_a_start_closes_what_a_killed_driver_left_open(job: Job) -> None:
    recorder = job.recorder()
    recorder.apply(job.run_record)
    recorder.apply(replace(job.trial(make_results()[0]), status="RUNNING"))
    job.recorder().apply(job.run_record)
    (child,) = job.children().values()
    assert child.info.status == "KILLED"


def test_a_resumed_run_is_open_again_and_tells_changed_params(job: Job) -> None:
    record_all(job, make_results())
    wider = replace(job.run_record, params={"student.encoder.width": 96, "resources.lanes": 4})
    job.recorder().apply(wider)
    parent = job.parent()
    assert parent.info.status == "RUNNING"
    assert parent.data.params["resources.lanes"] == "1"
    assert parent.data.tags["pricon.changed_params"] == "resources.lanes: 1 -> 4"


def test_a_metric_of_the_run_that_changes_gets_a_new_point(job: Job) -> None:
    recorder = job.recorder()
    recorder.apply(job.run_record)
    for value in (0.7, 0.7, 0.8):
        recorder.apply(job.finish(metrics={"accuracy": value}))
    assert job.curve(job.parent(), "accuracy") == [(0, 0.7), (1, 0.8)]


def test_long_curves_are_whole(job: Job) -> None:
    (result, *_) = make_results(num_epochs=300)
    recorder = job.recorder()
    recorder.apply(job.trial(result))
    (child,) = job.children().values()
    assert len(job.curve(child, "teacher/training_loss")) == 300


def test_two_runs_of_a_job_share_its_experiment(job: Job) -> None:
    recorder = job.recorder()  # one for both, as when a journal holds records of both
    for run_id in ("run1", "run2"):
        recorder.apply(replace(job.run_record, run_id=run_id))
        recorder.apply(replace(job.trial(make_results()[0]), run_id=run_id))
    trials = [run for run in job.runs() if "mlflow.parentRunId" in run.data.tags]
    parents = [run for run in job.runs() if "pricon.run_id" in run.data.tags]
    assert {run.data.tags["pricon.run_id"] for run in parents} == {"run1", "run2"}
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {
        run.info.run_id for run in parents
    }


def test_a_deleted_experiment_is_explained(job: Job) -> None:
    job.recorder().apply(job.run_record)
    job.client.delete_experiment(job.parent().info.experiment_id)
    with pytest.raises(LaunchError, match="was deleted") as err:
        job.recorder().apply(job.run_record)
    assert "mlflow experiments restore" in (err.value.hint or "")


def test_an_experiment_that_is_deleted_meanwhile_is_explained(job: Job) -> None:
    recorder = job.recorder()
    recorder.apply(job.run_record)
    job.client.delete_experiment(job.parent().info.experiment_id)
    with pytest.raises(LaunchError, match="was deleted"):
        recorder.apply(job.trial(make_results()[0]))


def test_figures_lie_in_a_folder_of_the_run(job: Job, tmp_path: Path) -> None:
    figures = {"figures/fps-arousal-frames-participants.svg": b"<svg/>", "report.md": b"# r"}
    recorder = job.recorder()
    recorder.apply(job.run_record)
    for _ in range(2):  # a second submission writes them over
        recorder.apply(job.finish(artifacts=figures))
    listed = job.client.list_artifacts(job.parent().info.run_id, "figures")
    assert [one.path for one in listed] == ["figures/fps-arousal-frames-participants.svg"]
    (file,) = (tmp_path / "artifacts").rglob("*.svg")
    assert file.read_bytes() == b"<svg/>"


def test_a_record_that_mlflow_calls_invalid_is_refused(job: Job) -> None:
    bad = job.finish(metrics={"not a $ key": 1.0})
    with pytest.raises(RecordRefusedError, match=r"not a \$ key"):
        job.recorder().apply(bad)


def test_a_new_database_makes_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = open_tracker(None, tmp_path, tmp_path / "tracking.jsonl")
    tracker.start(make_run_record())
    tracker.finish("FINISHED", {}, {})
    tracker.close()
    assert (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "tracking.jsonl").exists()
    assert (tmp_path / "mlartifacts").is_dir()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.tracking
def test_results_survive_an_outage_and_are_recorded_once(
    server: MlflowServer, tmp_path: Path
) -> None:
    results = make_results()
    journal = tmp_path / "tracking.jsonl"
    job = Job(server.uri, "outage", tmp_path)
    tracker = open_tracker(server.uri, tmp_path, journal)
    tracker.check("outage")
    tracker.start(job.run_record)
    tracker.record(results[0], {"accuracy": 0.9})
    tracker.sink.close()  # wait for the first trial, then lose the server
    server.kill()
    tracker = open_tracker(server.uri, tmp_path, journal)
    tracker.start(job.run_record)
    for result in results[1:]:
        tracker.record(result, {"accuracy": 0.9})
    tracker.finish("FINISHED", {"accuracy": 0.9}, {"report.md": b"# r"})
    tracker.close()
    assert journal.exists()
    server.start()
    assert len(job.children()) == 1
    assert job.parent().info.status == "RUNNING"
    tracker = open_tracker(server.uri, tmp_path, journal)
    tracker.start(job.run_record)
    for result in results:
        tracker.record(result, {"accuracy": 0.9})
    tracker.finish("FINISHED", {"accuracy": 0.9}, {"report.md": b"# r"})
    tracker.close()
    assert not journal.exists()
    assert job.parent().info.status == "FINISHED"
    assert set(job.children()) == {result.trial.id for result in results}
    for child in job.children().values():
        assert child.info.status == "FINISHED"
        assert job.curve(child, "student/training_loss") == LOSSES


@pytest.mark.tracking
def test_a_server_hands_figures_out_as_pictures(server: MlflowServer, tmp_path: Path) -> None:
    """Its pages show a file of this ending inside them, if it comes as this type."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    tracker = open_tracker(server.uri, tmp_path, tmp_path / "tracking.jsonl")
    job = Job(server.uri, "figures", tmp_path)
    tracker.start(job.run_record)
    tracker.finish("FINISHED", {}, {"figures/fps-participants.svg": svg})
    tracker.close()
    run = job.parent().info.run_id
    query = f"run_uuid={run}&path=figures/fps-participants.svg"
    with urllib.request.urlopen(f"{server.uri}/get-artifact?{query}", timeout=30) as answer:
        assert answer.headers.get_content_type() == "image/svg+xml"
        assert answer.read() == svg


@pytest.mark.tracking
def test_passwords_and_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MlflowServer.with_passwords(tmp_path, ADMIN_PASSWORD)
    server.start()
    try:
        with pytest.raises(LaunchError, match=r"\(401\)") as err:
            MlflowRecorder(server.uri).check("job")
        assert "MLFLOW_TRACKING_PASSWORD" in (err.value.hint or "")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
        with pytest.raises(LaunchError, match=r"\(401\)"):
            MlflowRecorder(server.uri).check("job")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
        MlflowRecorder(server.uri).check("job")
        add_user(server, "reader", "another-long-password", ADMIN_PASSWORD)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "reader")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another-long-password")
        with pytest.raises(LaunchError, match="forbids this user to write") as err:
            MlflowRecorder(server.uri).check("job")
        assert "EDIT" in (err.value.hint or "")
    finally:
        server.stop()


def add_user(server: MlflowServer, name: str, password: str, admin_password: str) -> None:
    """Through the REST interface, since importing MLflow's server part warns."""
    token = base64.b64encode(f"admin:{admin_password}".encode()).decode()
    request = urllib.request.Request(
        f"{server.uri}/api/2.0/mlflow/users/create",
        data=json.dumps({"username": name, "password": password}).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


class _Website(http.server.BaseHTTPRequestHandler):
    """A web server that is no MLflow."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_a_server_that_is_not_mlflow_is_called_so() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Website) as website:
        threading.Thread(target=website.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{website.server_port}"
        with pytest.raises(LaunchError, match="does not answer as an MLflow server"):
            MlflowRecorder(uri).check("job")
        website.shutdown()


class _WithoutDatasets(http.server.BaseHTTPRequestHandler):
    """Passes everything on to an MLflow server but what older ones do not know."""

    behind: ClassVar[str]

    def do_POST(self) -> None:
        if self.path.endswith("/runs/log-inputs"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.behind}{self.path}", body or None, headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as err:
            status, content = err.code, err.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PATCH = do_PUT = do_POST  # noqa: N815  # names of the library

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.mark.tracking
def test_a_server_without_data_sets_is_told_all_else(server: MlflowServer, tmp_path: Path) -> None:
    handler = type("Handler", (_WithoutDatasets,), {"behind": server.uri})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as older:
        threading.Thread(target=older.serve_forever, daemon=True).start()
        job = Job(f"http://127.0.0.1:{older.server_port}", "older", tmp_path / "artifacts")
        record_all(job, make_results())
        parent, children = job.parent(), job.children()
        older.shutdown()
    assert parent.info.status == "FINISHED"
    assert len(children) == len(make_results())
    assert parent.inputs is not None
    assert parent.inputs.dataset_inputs == []
