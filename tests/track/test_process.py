"""The process beside the driver: real ones, that are killed, and whose driver is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track.process import ProcessRecorder
from tests.track.examples import make_run_record


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_a_process_that_is_killed_is_told_of_and_followed_by_another(database: str) -> None:
    recorder = ProcessRecorder(database)
    recorder.apply(make_run_record())
    process = recorder._process
    assert process is not None
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(LaunchError, match="ended by itself: signal 9") as err:
        recorder.apply(make_run_record())
    assert "--no-track" in (err.value.hint or "")
    recorder.apply(make_run_record())
    recorder.close()
    assert recorder._process is None


def test_where_no_process_can_start_tracking_says_so(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(LaunchError, match="no process for MLflow could be started") as err:
        ProcessRecorder(database).check("job")
    assert "--no-track" in (err.value.hint or "")


def test_an_installation_without_mlflow_is_told_in_its_words(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.py").write_text("raise ImportError('no module of this kind')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    recorder = ProcessRecorder(database)
    with pytest.raises(LaunchError, match="ImportError: no module of this kind"):
        recorder.check("job")
    recorder.close()


def test_files_of_the_user_are_not_taken_for_packages(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    recorder = ProcessRecorder("http://127.0.0.1:9")
    with pytest.raises(LaunchError, match="does not answer"):
        recorder.check("job")
    recorder.close()


def test_it_ends_when_its_driver_is_killed(tmp_path: Path, database: str) -> None:
    code = (
        "import os; from pricon.track.process import ProcessRecorder; "
        "from tests.track.examples import make_run_record; "
        f"recorder = ProcessRecorder({database!r}); recorder.apply(make_run_record()); "
        "print(recorder._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert told.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while Path(f"/proc/{int(told.stdout)}").exists():
        assert time.monotonic() < deadline, "it outlives its driver"
        time.sleep(0.05)
