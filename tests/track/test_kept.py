"""Logs of drivers come back out of a real MLflow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track.kept import kept_log
from pricon.track.mlflow import MlflowRecorder
from pricon.track.open import open_tracker
from pricon.track.records import FinishRecord, LogRecord, RunRecord
from tests.track.examples import make_run_record
from tests.track.servers import MlflowServer

PASSWORD = "long-enough-for-mlflow"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def keep(uri: str, folder: Path, handle: str, run_id: str = "run0", **logs: str) -> None:
    """Record a run, and then these logs of it."""
    record = make_run_record("job-of-it", run_id)
    recorder = MlflowRecorder(uri, folder.as_uri())
    recorder.apply(record)
    for name, text in logs.items():
        recorder.apply(log_of(record, handle, f"{name}.0.log", text))
    recorder.apply(FinishRecord(job_name=record.job_name, run_id=run_id, status="FINISHED"))


def log_of(run: RunRecord, handle: str, name: str, text: str) -> LogRecord:
    return LogRecord(
        job_name=run.job_name, run_id=run.run_id, handle=handle, name=name, text=text.encode()
    )


def test_the_newest_log_of_a_run(database: str, tmp_path: Path) -> None:
    keep(database, tmp_path, "other-1", "run1", s1="of somebody else\n")
    keep(database, tmp_path, "tiny-1", "run2", s9="first try\n", s10="one\ntwo\n")
    assert kept_log(database, "tiny-1") == ["one", "two"]


def test_a_run_that_took_the_place_of_another_has_no_log_of_it(
    database: str, tmp_path: Path
) -> None:
    keep(database, tmp_path, "again-1", "run3", s1="one\n")
    assert kept_log(database, "again-1", "s1") == ["one"]
    assert kept_log(database, "again-1", "s2") == []


def test_one_mlflow_run_may_have_two_handles(database: str, tmp_path: Path) -> None:
    """Such as all folds of a job, once by name and once without."""
    keep(database, tmp_path, "all-1", "run4", s1="one\n")
    keep(database, tmp_path, "named-1", "run4", s2="two\n")
    assert [kept_log(database, handle) for handle in ("all-1", "named-1")] == [["one"], ["two"]]


def test_the_last_run_that_ended_counts(database: str, tmp_path: Path) -> None:
    """A run that goes on has the start of its first attempt."""
    keep(database, tmp_path, "twice-1", "on-one-corpus", s1="old\n")
    keep(database, tmp_path, "twice-1", "on-another", s2="older\n")
    keep(database, tmp_path, "twice-1", "on-one-corpus", s3="new\n")
    assert kept_log(database, "twice-1") == ["new"]


def test_no_log(database: str, tmp_path: Path) -> None:
    assert kept_log(database, "nobody-1") == []
    assert kept_log(database, "it's-1") == [], "no name of a run"


def test_looking_makes_no_database(tmp_path: Path) -> None:
    assert kept_log(f"sqlite:///{tmp_path}/deep/mlflow.db", "tiny-1") == []
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    keep(database, tmp_path, "lost-1", "run5", s1="one\n")
    for file in tmp_path.rglob("*.log"):
        file.unlink()
    with pytest.raises(LaunchError, match=r"cannot give it: artifact logs/s1\.0\.log of run") as e:
        kept_log(database, "lost-1")
    assert "keys to their store" in str(e.value.hint)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://127.0.0.1:9", r"127\.0\.0\.1:9 does not answer"),
        ("postgresql://ada:secret@127.0.0.1:9/x", "MLflow at postgresql://127.0.0.1:9/x cannot be"),
    ],
)
@pytest.mark.timeout(60)  # MLflow itself asks a database for 100 s
def test_nobody_answers(uri: str, expected: str) -> None:
    with pytest.raises(LaunchError, match=expected) as caught:
        kept_log(uri, "tiny-1")
    assert "secret" not in str(caught.value)
    assert "--no-track" not in str(caught.value), "nothing is recorded here"


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
    tracker.start(make_run_record())
    tracker.keep_log("tiny-2", "s1.0.log", b"one\ntwo\n")
    tracker.close()
    assert kept_log(server.uri, "tiny-2") == ["one", "two"]
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(LaunchError, match=r"refused user name, password or token \(401\)"):
        kept_log(server.uri, "tiny-2")
