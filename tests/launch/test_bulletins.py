"""Lines of a driver's log that others read again."""

import errno
from typing import Any

import pytest

from pricon.errors import CorpusError, LaunchError, PlanError, StorageError, TrainingError
from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    TrialBulletin,
    is_small_talk,
    read,
    write,
)
from pricon.launch.lanes import NoWorkersError
from pricon.launch.submission import VersionError
from pricon.plan.trials import plan_trials
from pricon.report.results import TrialResult
from tests.plan.problem import job, summary

PLAN = plan_trials(job(), summary())


def result(**changes: Any) -> TrialResult:
    trial = PLAN.trials[0]
    facts = {"trial": trial, "cell": PLAN.cells[trial.cell], "num_windows": {}, "share_high": {}}
    return TrialResult(**{**facts, "status": "finished", **changes})


def test_a_plan_counts_trials_by_arm_and_fold() -> None:
    found = PlanBulletin.of(PLAN, "s3://bucket/runs/tiny/1")
    assert found.arms == ("majority", "e2e", "lupi", "pricon", "all_modalities")
    assert sum(n for folds in found.trials.values() for n in folds.values()) == len(PLAN.trials)
    assert {*found.trials["e2e"]} == {*found.folds} == {cell.fold for cell in PLAN.cells}
    assert (found.run_id, found.output) == (PLAN.run_id, "s3://bucket/runs/tiny/1")


def test_a_trial_finishes_or_does_not() -> None:
    assert TrialBulletin.of(result()).status == "finished"
    failed = TrialBulletin.of(result(status="failed", error="diverged"))
    assert (failed.status, failed.error) == ("failed", "diverged")
    assert failed.arm == PLAN.trials[0].arm


@pytest.mark.parametrize(
    "bulletin",
    [
        PlanBulletin.of(PLAN, "runs/tiny/1"),
        TrialBulletin.of(result(status="failed", error='said "no"\nand left')),
        TrainingBulletin(lane=3, trials={"e2e": {0: 1, 4: 2}}),
        ProgressBulletin(text="1 of 2 trials"),
        ReportBulletin(text="a\n  table", complete=True, uri="s3://b/r"),
        EndBulletin(exit_code=2, cause="input", message="wrong", hint="mend it"),
    ],
)
def test_what_is_written_is_read(bulletin: Bulletin) -> None:
    line = write(bulletin)
    assert "\n" not in line
    assert line.startswith('{"pricon":')
    assert read(line) == bulletin


@pytest.mark.parametrize(
    "line",
    ["", "Traceback", '{"level": "info"}', '{"pricon":"progress","te', '{"pricon":"other","a":1}'],
)
def test_ordinary_and_torn_lines_are_no_bulletins(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "is_small"),
    [
        ("2026-11-30 11:38:45,359\tINFO cli.py:331 -- Query the logs of the job:", True),
        ("2026-11-30 11:38:45,358\tSUCC cli.py:66 -- \x1b[32m-----\x1b[39m", True),
        ("2026-11-30 11:39:12,164\tINFO sdk.py:520 -- WebSocket closed for job a", True),
        ("2026-11-30 11:38:45,178\tINFO job_manager.py:581 -- Runtime env is setting up.", True),
        ("Running entrypoint for job a-x54r9: pricon drive /etc/pricon/job.yaml", True),
        ("2026-11-30 11:39:12,172\tWARN cli.py:85 -- Job 'a' was stopped", False),
        ("2026-11-30 11:39:12,172\tERR cli.py:70 -- Job 'a' failed", False),
        ("2026-11-30 11:39:12,172\tINFO worker.py:12 -- of somebody else", False),
        ("RuntimeError: WebSocket connection closed unexpectedly with close code 1006", False),
        ("", False),
    ],
)
def test_what_ray_says_when_all_is_well(line: str, is_small: bool) -> None:
    assert is_small_talk(line) is is_small


@pytest.mark.parametrize(
    ("error", "cause", "exit_code"),
    [
        (PlanError("too few", "fewer folds"), "input", 2),
        (CorpusError("damaged"), "input", 2),
        (StorageError("away"), "infrastructure", 3),
        (LaunchError("no Ray"), "infrastructure", 3),
        (NoWorkersError("none came"), "capacity", 3),
        (VersionError("another"), "version", 3),
        (TrainingError("leak"), "trials", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (ZeroDivisionError("1 / 0"), "defect", 70),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "defect", 70),
        (OSError("a message of some library"), "defect", 70),
    ],
)
def test_an_error_has_a_cause(error: BaseException, cause: str, exit_code: int) -> None:
    end = EndBulletin.of_error(error)
    assert (end.cause, end.exit_code) == (cause, exit_code)
    assert end.is_final is (cause in {"input", "version", "trials", "capacity", "defect"})
    goes_on = "submit again to go on: finished trials are kept"
    assert end.hint == (goes_on if exit_code == 130 else getattr(error, "hint", None))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), "No space left on device"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError(errno.EFBIG, "File too large"), "File too large"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset by peer"),
        (TimeoutError("timed out"), "timed out"),
    ],
)
def test_a_machine_that_fails_its_driver_is_no_defect(error: OSError, words: str) -> None:
    end = EndBulletin.of_error(error)
    assert (end.cause, end.exit_code, end.is_final) == ("infrastructure", 3, False)
    assert str(end.message).startswith("the driver's machine failed it: ")
    assert words in str(end.message)
    assert str(end.hint).startswith("make room there if its disk is full")
