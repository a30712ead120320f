"""Submissions are made again after faults, and what they should not do is told."""

from pathlib import Path

import pytest

from pricon.errors import LaunchError, SpecError
from pricon.launch.faults import DisturbedRun, Faults
from pricon.launch.victims import Victim

OFTEN = 0.05
"""Seconds between two faults: before anything of it is over."""


@pytest.mark.parametrize(
    "faults",
    [{"victims": ()}, {"number": 0}, {"every_s": 0.0}, {"every_s": 60.0, "within_s": 60.0}],
)
def test_faults_kill_something(faults: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="nothing is killed by"):
        Faults(**faults)  # type: ignore[arg-type]  # one of several types


def run_of(script: str, folder: Path, *victims: Victim, within_s: float = 60.0) -> DisturbedRun:
    faults = Faults(victims=victims or ("mailbox",), number=1, every_s=OFTEN, within_s=within_s)
    return DisturbedRun(["bash", "-c", script], folder, faults, print)


def test_a_submission_that_fails_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    run = run_of("echo no such corpus; exit 3", tmp_path)
    with pytest.raises(LaunchError, match="submission 1 ended with exit code 3, and that is no"):
        run.to_its_end()
    assert "  no such corpus" in run._last_lines()


def test_a_wrong_job_is_no_faults_whatever_was_killed(tmp_path: Path) -> None:
    run = run_of("(exec -a ray::Mailbox sleep 60); exit 2", tmp_path)
    with pytest.raises(LaunchError, match="submission 1 ended with exit code 2, and that is no"):
        run.to_its_end()


@pytest.mark.parametrize(
    ("victim", "code", "is_off"),
    [("Mailbox", 3, False), ("Mailbox", 1, True), ("RayTrainWorker", 3, True)],
)
def test_a_submission_ends_as_its_fault_has_it(
    victim: str, code: int, is_off: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"""
    [ -e {tmp_path}/second ] && exit 0
    touch {tmp_path}/second
    (exec -a ray::{victim} sleep 60)
    echo last words
    exit {code}
    """
    run = run_of(script, tmp_path, "mailbox", "worker")
    assert run.to_its_end()
    assert (len(run.killed), run.num_submissions, run.num_off) == (1, 2, is_off)
    told = capsys.readouterr().out
    assert f"submission 1 ended with exit code {code}\n" in told
    words = {"Mailbox": "the mailbox", "RayTrainWorker": "a worker"}[victim]
    off = f"submission 1 should not have ended so, where this was killed: {words}\n"
    assert (off in told) is is_off
    assert told.endswith("  last words\n") is is_off


def test_what_outlives_a_submission_is_told_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pricon.launch.faults._GONE_WITHIN_S", 0.5)
    run = run_of("(exec -a straggler sleep 60) & sleep 1; exit 0", tmp_path)
    assert run.to_its_end()
    assert run.num_off == 1
    told = capsys.readouterr().out
    assert told.startswith("submission 1 left behind, 0.5 s after its end: straggler\n")


def test_a_submission_that_hangs_is_told_and_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("echo waiting for ever; sleep 600", tmp_path, within_s=4.0)
    assert not run.to_its_end()
    assert run.num_off == 1
    told = capsys.readouterr().out
    said = "submission 1 has not ended within 4 s (`--within`), so it is ended"
    assert told == f"{said}\n  waiting for ever\n"


@pytest.mark.parametrize("code", [1, 3])
def test_without_its_raylet_a_submission_may_end_without_words(code: int, tmp_path: Path) -> None:
    script = f"""
    [ -e {tmp_path}/second ] && exit 0
    touch {tmp_path}/second
    (exec -a ray::RayTrainWorker sleep 60) &
    (exec -a raylet sleep 60)
    kill %1
    exit {code}
    """
    run = run_of(script, tmp_path, "raylet")
    assert run.to_its_end()
    assert (run.killed, run.num_submissions, run.num_off) == (["raylet"], 2, 0)
