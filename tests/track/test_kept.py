"""Logs of drivers come back out of a real MLflow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track.kept import HANDLE, kept_log
from pricon.track.mlflow import MlflowRecorder
from pricon.track.open import open_tracker
from pricon.track.records import LogRecord, RunRecord
from tests.track.examples import make_run_record
from tests.track.servers import MlflowServer

PASSWORD = "long-enough-for-mlflow"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def keep(uri: str, folder: Path, handle: str, run_id: str = "run0", **logs: str) -> None:
    """Record a run, and then these logs of it."""
    record = make_run_record(f"job-of-{handle}", run_id)
    recorder = MlflowRecorder(uri, folder.as_uri())
    recorder.apply(replace(record, tags={HANDLE: handle}))
    for name, text in logs.items():
        recorder.apply(log_of(record, name, text))


def log_of(run: RunRecord, name: str, text: str) -> LogRecord:
    return LogRecord(job_name=run.job_name, run_id=run.run_id, name=name, text=text.encode())


def test_the_newest_log_of_a_run(database: str, tmp_path: Path) -> None:
    keep(database, tmp_path, "other-1", s1="of somebody else\n")
    keep(database, tmp_path, "tiny-1", b9="first try\n", a10="one\ntwo\n")
    assert kept_log(database, "tiny-1") == ["one", "two"]


def test_the_newest_run_of_a_handle(database: str, tmp_path: Path) -> None:
    keep(database, tmp_path, "twice-1", "on-one-corpus", s1="old\n")
    keep(database, tmp_path, "twice-1", "on-another", s2="new\n")
    keep(database, tmp_path, "twice-1", "that-was-killed")
    assert kept_log(database, "twice-1") == ["new"]


def test_no_log(database: str, tmp_path: Path) -> None:
    assert kept_log(database, "nobody-1") is None
    assert kept_log(database, "it's-1") is None, "no name of a run"
    keep(database, tmp_path, "mute-1")
    assert kept_log(database, "mute-1") is None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    found = MlflowServer.with_passwords(tmp_path_factory.mktemp("server"), PASSWORD)
    found.start()
    yield found
    found.stop()


@pytest.mark.tracking
def test_from_a_server_by_its_own_proxy_with_a_password(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    tracker = open_tracker(server.uri, tmp_path, tmp_path / "journal.jsonl")
    tracker.start(replace(make_run_record(), tags={HANDLE: "tiny-2"}))
    tracker.keep_log("s1.0.log", b"one\ntwo\n")
    tracker.close()
    assert kept_log(server.uri, "tiny-2") == ["one", "two"]
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(LaunchError, match=r"refused user name, password or token \(401\)"):
        kept_log(server.uri, "tiny-2")
