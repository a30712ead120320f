"""What a run said, when its pods are gone: from a real S3 server, and from a real MLflow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.launch.kubernetes.sending import submit_run
from pricon.spec.dump import dump_job
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from pricon.track.mlflow import MlflowRecorder
from pricon.track.records import LogRecord, RunRecord
from tests.cli.test_runs import pricon
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import (
    FOLDER,
    HANDLE,
    Operator,
    Rendered,
    end,
    plan,
    report,
    trial,
)
from tests.tiny import tiny_job

REPORT = report()


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as server:
        submit_run(connect(tmp_path, server.url), Rendered())
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


@pytest.fixture
def forgotten(api: ApiServer, s3: StorageSpec, s3_uri: str, tmp_path: Path) -> None:
    """A run that finished, and whose pods are gone; its driver kept its log in a bucket."""
    annotations = {"pricon.dev/output": f"{s3_uri}/tiny", "pricon.dev/submission": "s1"}
    metadata = api.store.get("rayjobs", HANDLE)["metadata"] | {"annotations": annotations}
    api.store.update("rayjobs", HANDLE, metadata=metadata)
    job = dump_job(tiny_job(tmp_path, storage=s3.model_dump()))
    api.store.update("configmaps", HANDLE, data={"job.yaml": job})
    Operator(api.store).status(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    folder = open_storage(f"{s3_uri}/tiny/submissions", s3)
    folder.write("s1.9.log", b"an attempt before\n")
    folder.write("s1.10.log", "\n".join(["ordinary", plan(), REPORT, end(), ""]).encode())


@pytest.mark.s3
def test_what_a_run_said_outlives_its_pods(
    forgotten: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "ordinary"
    assert "plan: 6 trials" in shown.out
    assert (
        shown.err
        == "its log is gone from the cluster; this is what its driver kept in the object storage\n"
    )
    assert pricon("results", HANDLE) == 0
    assert f"report   {FOLDER}/report.html" in capsys.readouterr().out


@pytest.mark.s3
def test_a_kept_log_needs_keys_to_its_bucket(
    forgotten: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("a log that was kept cannot be read from here: ") == 2
    assert "  hint: set MLFLOW_TRACKING_URI to where you reach it" in shown.err
    assert f"run {HANDLE} has no log; it is finished" in shown.err


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where submission s1 of the run was recorded, with its log."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, (tmp_path / "artifacts").as_uri())
    text = "\n".join([plan(), REPORT, end(), ""]).encode()
    recorder.apply(RunRecord(job_name="tiny", run_id="run0"))
    recorder.apply(
        LogRecord(job_name="tiny", run_id="run0", handle=HANDLE, name="s1.0.log", text=text)
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.mark.s3
def test_without_keys_mlflow_has_it(
    forgotten: None,
    mlflow: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert "plan: 6 trials" in shown.out
    assert "cannot be read from here: the object store refused these credentials" in shown.err
    said = f"its log is gone from the cluster; this is what its driver kept in MLflow at {mlflow}\n"
    assert shown.err.endswith(said)


def test_of_a_run_that_took_another_s_place_nothing_is_told(
    api: ApiServer, mlflow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its driver never began, and MLflow has what the one before it found."""
    annotations = {"pricon.dev/submission": "s2"}
    metadata = api.store.get("rayjobs", HANDLE)["metadata"] | {"annotations": annotations}
    api.store.update("rayjobs", HANDLE, metadata=metadata)
    Operator(api.store).status(jobDeploymentStatus="Failed", message="no image")
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert (shown.out, f"run {HANDLE} has no log; it is failed" in shown.err) == ("", True)
    assert pricon("results", HANDLE) == 3
    assert f"run `{HANDLE}` has no report: it is failed" in capsys.readouterr().err


def test_the_handle_is_enough_when_the_cluster_has_forgotten_the_run(
    api: ApiServer, mlflow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pricon("cancel", HANDLE) == 0
    capsys.readouterr()
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert "plan: 6 trials" in shown.out
    said = f"run {HANDLE} is forgotten by the cluster; this is what its driver kept in MLflow at "
    assert shown.err == f"{said}{mlflow}\n"
    assert pricon("results", HANDLE) == 0
    assert f"report   {FOLDER}/report.html" in capsys.readouterr().out


def test_a_forgotten_run_without_a_report(
    api: ApiServer, mlflow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.store.delete("rayjobs", HANDLE)
    text = "\n".join([plan(), trial("a", "e2e", 0), end(130, "interrupted")]).encode()
    MlflowRecorder(mlflow).apply(
        LogRecord(job_name="tiny", run_id="run0", handle=HANDLE, name="s2.0.log", text=text)
    )
    assert pricon("results", HANDLE) == 3
    error = capsys.readouterr().err
    said = "has no report: it is forgotten by the cluster, with 1 of 6 trials done\n  interrupted"
    assert f"error: run `{HANDLE}` {said}" in error


@pytest.mark.parametrize("command", ["logs", "results"])
def test_nobody_has_ever_heard_of_a_run(
    command: str, api: ApiServer, mlflow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pricon(command, "nobody-12345678") == 3
    assert "there is no run `nobody-12345678` in namespace `research`" in capsys.readouterr().err


PROFILE = "version: 0.0.1\ntracking: {uri: 'http://pricon-tracking:5000', publicUrl: %s}\n"


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        ("null", "no profile of the cluster has"),
        ("http://127.0.0.1:9", "127.0.0.1:9 does not answer"),
    ],
)
def test_the_profile_says_where_people_find_mlflow(
    public: str, expected: str, api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of another version, too: old runs are asked for after upgrades."""
    body = {"metadata": {"name": "pricon-profile"}, "data": {"profile.yaml": PROFILE % public}}
    api.store.create("configmaps", body, dry_run=False, strict=False)
    assert pricon("logs", "gone-12345678") == 3
    assert expected in capsys.readouterr().err


def test_a_profile_that_may_not_be_read(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.forbidden.add(("get", "configmaps"))
    assert pricon("logs", "gone-12345678") == 3
    error = capsys.readouterr().err
    assert "a log that was kept cannot be read from here: " in error
    assert "configmaps" in error


def test_an_mlflow_of_one_s_own_does_not_stand_in_for_the_cluster_s(
    api: ApiServer, mlflow: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mine.db'}")
    body = {"metadata": {"name": "pricon-profile"}, "data": {"profile.yaml": PROFILE % mlflow}}
    api.store.create("configmaps", body, dry_run=False, strict=False)
    api.store.delete("rayjobs", HANDLE)
    assert pricon("logs", HANDLE) == 0
    assert f"kept in MLflow at {mlflow}" in capsys.readouterr().err
    assert not (tmp_path / "mine.db").exists()
