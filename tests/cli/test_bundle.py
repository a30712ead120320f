"""`pricon bundle` as a user types it."""

import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.cli.main import commands, exit_code_of
from pricon.launch.kubernetes.sending import submit_run
from pricon.track.mlflow import MlflowRecorder
from pricon.track.records import LogRecord, RunRecord
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import HANDLE, Operator, Rendered, plan

FILE = f"{HANDLE}-bundle.tar.gz"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command is typed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def api(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A cluster with a run under way; the user's kubeconfig names it."""
    with api_server() as server:
        submit_run(connect(tmp_path, server.url), Rendered())
        operator = Operator(server.store)
        operator.start()
        operator.say(plan(), "ordinary")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


def pricon(*arguments: str) -> int:
    """Exit code; output goes where the test captures it."""
    return exit_code_of(lambda: commands()([*arguments], standalone_mode=False))


def names(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def test_a_bundle(api: ApiServer, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("bundle", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{FILE}\n", "the path alone, for scripts"
    size = (here / FILE).stat().st_size
    assert shown.err == f"9 files, {size / 1000:.0f} kB\n"
    assert f"{HANDLE}/driver.log" in names(here / FILE)
    assert [entry.name for entry in here.iterdir()] == [FILE]


def test_into_another_file(
    api: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.tgz"
    assert pricon("bundle", HANDLE, "--into", str(other)) == 0
    assert capsys.readouterr().out == f"{other}\n"
    assert len(names(other)) == 9
    assert pricon("bundle", HANDLE, "--into", str(other)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"error: {other} is there already, and is not overwritten\n\nhint: name an" in shown.err
    assert pricon("bundle", HANDLE, "--into", str(tmp_path / "none" / "a.tgz")) == 2
    assert "a.tgz: No such file or directory" in capsys.readouterr().err


def test_into_what_is_no_file(
    api: ApiServer, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pricon("bundle", HANDLE, "--into", str(tmp_path)) == 2
    assert f"error: {tmp_path} is a folder\n  expected the name of" in capsys.readouterr().err
    assert pricon("bundle", HANDLE, "--into", "a" * 300) == 2
    assert "a: File name too long" in capsys.readouterr().err
    for run in ("a" * 300, "a\0b"):
        assert pricon("bundle", run) == 2
        assert f"cannot write {run}-bundle.tar.gz: " in capsys.readouterr().err
    assert pricon("bundle", "no/such") == 3
    assert "there is no run `no/such`" in capsys.readouterr().err
    assert [*here.iterdir()] == []


def test_help_promises_no_more_than_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("bundle", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "What looks like a credential is left out of objects" in said
    assert "logs are as they are: look before you send it" in said


@pytest.mark.parametrize(
    ("forbidden", "said"),
    [
        ([("list", "events")], "; 1 could not be read (troubles.txt names it)"),
        (
            [("list", "events"), ("get", "configmaps")],
            "; 2 could not be read (troubles.txt names them)",
        ),
        ([("get", "/version")], "; troubles.txt says what they lack"),
    ],
)
def test_what_is_missing_is_counted(
    forbidden: list[tuple[str, str]],
    said: str,
    api: ApiServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    api.forbidden |= {*forbidden}
    assert pricon("bundle", HANDLE) == 0
    assert capsys.readouterr().err.endswith(f" kB{said}\n")
    assert f"{HANDLE}/troubles.txt" in names(Path(FILE))


def test_no_such_run(api: ApiServer, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("bundle", "another-1") == 3
    assert "error: there is no run `another-1` in namespace `research`" in capsys.readouterr().err
    assert pricon("bundle", HANDLE, "--namespace", "nowhere") == 3
    assert "in namespace `nowhere`" in capsys.readouterr().err
    assert [*here.iterdir()] == []


def test_a_run_that_the_cluster_has_forgotten(
    api: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, (tmp_path / "artifacts").as_uri())
    recorder.apply(RunRecord(job_name="tiny", run_id="run0"))
    recorder.apply(
        LogRecord(job_name="tiny", run_id="run0", handle=HANDLE, name="s1.0.log", text=b"kept\n")
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    api.store.delete("rayjobs", HANDLE)
    assert pricon("bundle", HANDLE) == 0
    said = (
        f"run {HANDLE} is forgotten by the cluster; this is what its driver kept in MLflow at {uri}"
    )
    first, second = capsys.readouterr().err.splitlines()
    assert first == said
    assert second.startswith("3 files, ")
    with tarfile.open(FILE) as tar:
        texts = [file.read().decode() for entry in tar if (file := tar.extractfile(entry))]
        found = [name.removeprefix(f"{HANDLE}/") for name in tar.getnames()]
    assert found == ["driver.log", "versions.json", "troubles.txt"]
    assert texts[0] == "kept\n"
    assert json.loads(texts[1])["api_server"] == "v1.36.2"
    assert texts[2] == f"driver.log: {said}\n"


def test_ctrl_c_leaves_nothing(api: ApiServer, here: Path) -> None:
    """In a process of its own, as signals are its."""
    # Who was started in a background ignores Ctrl-C, and so do those whom they start.
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{hears}; from pricon.cli.main import main; main()"
    api.fail("list", "events", stall_s=30.0, times=9)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", main, "bundle", HANDLE], stdout=pipe, stderr=pipe, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not [*here.iterdir()] and time.monotonic() < deadline:
            time.sleep(0.05)
        (partial,) = here.iterdir()
        assert partial.name.startswith(f".{FILE}.")
        process.send_signal(signal.SIGINT)
        shown, error = process.communicate(timeout=60)
    assert (process.returncode, shown) == (130, "")
    assert error.splitlines()[-1] == "interrupted"
    assert [*here.iterdir()] == []
