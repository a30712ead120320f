"""The process beside the driver: real ones, that are killed, and whose driver is killed."""

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track.process import ProcessRecorder
from tests.track.examples import make_run_record


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_a_process_that_is_killed_is_told_of_and_followed_by_another(database: str) -> None:
    """Asked to end, as a batch system asks all at once, it stays: its driver has an end to tell."""
    recorder = ProcessRecorder(database)
    recorder.apply(make_run_record())
    process = recorder._process
    assert process is not None
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process.pid, number)
    recorder.apply(make_run_record())
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(LaunchError, match="ended by itself: signal 9") as err:
        recorder.apply(make_run_record())
    assert "--no-track" in (err.value.hint or "")
    recorder.apply(make_run_record())
    last = recorder._process
    assert last is not None
    recorder.close()
    assert last.returncode == 0


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
    """And files in the folder of the user are not taken for packages."""
    for place, name in (("site", "mlflow.py"), ("here", "json.py")):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text(f"raise ImportError('not this {name}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path / "here")
    recorder = ProcessRecorder(database)
    with pytest.raises(LaunchError, match=r"ImportError: not this mlflow\.py"):
        recorder.check("job")
    recorder.close()


class _Silent(http.server.BaseHTTPRequestHandler):
    """Takes requests and never answers."""

    def do_GET(self) -> None:
        time.sleep(60)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that never answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_ends_with_its_driver_over_a_request_that_nobody_answers(silent: str) -> None:
    code = (
        "import sys, threading, time; from pricon.track.process import ProcessRecorder; "
        f"recorder = ProcessRecorder({silent!r}); "
        "threading.Thread(target=recorder.check, args=('job',), daemon=True).start(); "
        "time.sleep(1); print(recorder._process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        recorder = Path(f"/proc/{int(driver.stdout.readline())}")
        assert recorder.exists()
        driver.kill()
        _, said = driver.communicate()
    deadline = time.monotonic() + 10
    while recorder.exists():
        assert time.monotonic() < deadline, "it outlives its driver"
        time.sleep(0.05)
    assert said == b""


def test_what_waits_for_an_answer_can_be_given_up(silent: str) -> None:
    recorder = ProcessRecorder(silent)
    threading.Timer(1, recorder.abort).start()
    with pytest.raises(LaunchError, match="ended by itself: signal 9"):
        recorder.check("job")
    recorder.close()
