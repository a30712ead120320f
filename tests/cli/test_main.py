"""Errors become words and exit codes."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pricon.cli.main import KEPT, commands, exit_code_of
from pricon.errors import (
    DEFECT,
    INTERRUPTED,
    UNREAD,
    CorpusError,
    LaunchError,
    PlanError,
    PriconError,
    SpecError,
    StorageError,
    TrainingError,
)


def failing(error: BaseException, on_interruption: str = "") -> int:
    def command() -> None:
        raise error

    return exit_code_of(command, on_interruption)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (TrainingError, 1), (SpecError, 2), (PlanError, 2), (CorpusError, 2), (StorageError, 3),
        (LaunchError, 3),
    ],
)  # fmt: skip
def test_each_error_has_its_code_and_shows_message_and_hint(
    kind: type[PriconError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(kind("`x` is [red]wrong[/red]", "do `y`")) == code
    assert capsys.readouterr().err == "error: `x` is [red]wrong[/red]\n\nhint: do `y`\n"


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert exit_code_of(interrupted, KEPT) == INTERRUPTED == 130
    kept = "interrupted; finished trials are kept\n\nhint: submit again to go on\n"
    assert capsys.readouterr().err == kept
    assert exit_code_of(interrupted) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n", "a command that keeps nothing"


def test_being_asked_to_end_is_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: os.kill(os.getpid(), signal.SIGTERM)) == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_an_interruption_waits_for_the_end_of_what_python_does_in_an_import(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An exception there is dropped, and the lock of all imports stays locked."""
    source = "def import_(reached):\n    kill(getpid(), 15)\n    reached.append(True)\n"
    made = {"kill": os.kill, "getpid": os.getpid}
    exec(compile(source, "<frozen importlib._bootstrap>", "exec"), made)  # as if it were Python's
    reached: list[bool] = []

    def command() -> None:
        made["import_"](reached)  # type: ignore[operator]
        time.sleep(30)

    assert exit_code_of(command) == INTERRUPTED
    assert reached == [True]


def test_who_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert exit_code_of(lambda: os.kill(os.getpid(), signal.SIGINT)) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_defect_shows_its_trace_and_has_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failing(ZeroDivisionError("ours")) == DEFECT == 70
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "a defect in pricon, not in your job" in error


def test_a_machine_that_fails_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/x/report.html")
    assert failing(full, KEPT) == 3
    shown = capsys.readouterr().err
    assert "error: this machine failed: [Errno 28] No space left on device: '/x/rep" in shown
    assert "\nhint: make room if its disk is full; finished trials are kept" in shown
    assert "Traceback" not in shown
    assert failing(full) == 3
    assert capsys.readouterr().err.endswith("\nhint: make room if its disk is full\n")
    assert failing(FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")) == DEFECT


ASK = "from pricon.cli.main import main; main()"
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a device of Linux")
def test_output_that_cannot_be_written() -> None:
    with FULL.open("w") as full:
        asked = [sys.executable, "-c", ASK, "--help"]
        done = subprocess.run(asked, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: this machine failed: [Errno 28] No space left")


def test_output_that_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    asked = [sys.executable, "-c", ASK, "--help"]
    done = subprocess.run(asked, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == UNREAD == 141, "not the code of a failed trial"
    assert done.stderr == b""


def test_a_library_that_ends_the_program_is_no_failed_trial(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failing(SystemExit("no such plugin")) == DEFECT
    assert "error: no such plugin\n\nhint: a library" in capsys.readouterr().err
    assert failing(SystemExit(3)) == 3


@pytest.mark.parametrize("group", [(), ("corpus",)])
def test_whoever_names_no_command_sees_what_there_is(
    group: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(lambda: commands()([*group], standalone_mode=False)) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Usage: ")
    assert "error" not in shown
    assert "Commands:" in shown


def test_what_a_command_returns_is_its_code() -> None:
    assert exit_code_of(lambda: 1) == 1
    assert exit_code_of(lambda: None) == 0


def test_the_other_command(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("pricon")
    done = subprocess.run(
        [command, "corpus", "inspect", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"error: there is no corpus at {tmp_path}" in done.stderr
    assert "pricon corpus build" in done.stderr
