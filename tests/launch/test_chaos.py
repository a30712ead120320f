"""A run whose processes are killed gives what the record says, or says that it does not."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pricon.errors import LaunchError, SpecError
from pricon.launch.chaos import Faults, Outcome, _Run, reproduce_under_faults
from pricon.launch.compare import TOLERANCE
from pricon.launch.victims import Victim
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from tests.end_to_end.test_interrupt import SUBMIT
from tests.launch.real_ray import IN_REAL_RAY
from tests.launch.rehearsal import rehearse
from tests.tiny import QUICK

pytestmark = IN_REAL_RAY

COMMAND = [sys.executable, "-P", "-c", SUBMIT]
INPROCESS = ["--target", "inprocess"]
LONG = {"learning_rate": 1e-3, "epochs": 1500, "patience": 1500}
OFTEN = 0.05
"""Seconds between two faults: before anything of it is over."""


@pytest.fixture(scope="module")
def recorded(built: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that takes a while."""
    output = tmp_path_factory.mktemp("recorded")
    update = {
        "output": str(output),
        "optimisation": built.optimisation.model_validate({**QUICK, "supervised": LONG}),
        "arms": ("majority", "e2e", "lupi"),
    }
    return output / "tiny" / rehearse(built.model_copy(update=update)).run_id


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a path that is short enough for Ray's sockets."""
    with TemporaryDirectory(prefix="pricon-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def through(faults: Faults, recorded: Path, folder: Path, *options: str) -> Outcome:
    storage, command = open_storage(str(recorded)), [*COMMAND, *options]
    return reproduce_under_faults(storage, folder, faults, command, TOLERANCE, print)


def is_as_recorded(found: Outcome) -> bool:
    same = found.reproduction
    return same is not None and not same.off and same.num_trials == same.num_planned > 0


def test_a_driver_that_is_killed_again_and_again_finishes_all_the_same(
    recorded: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = Faults(victims=("driver",), number=2, every_s=5.0, seed=27)  # after 5.2 s, and 6.0
    found = through(faults, recorded, folder, *INPROCESS)
    assert found.killed == ("driver",) * 2
    assert found.num_submissions == 3
    assert found.num_off == 0
    assert is_as_recorded(found)
    told = capsys.readouterr().out
    assert "  2: killed the driver\n" in told
    assert "  submission 2 ended with exit code -9\n" in told
    assert len([*folder.glob("submission-*.log")]) == 3


@pytest.mark.ray
def test_a_run_survives_the_death_of_any_process_of_its_ray(
    recorded: Path, folder: Path, capsys: pytest.CaptureFixture[str], ray_alone: None
) -> None:
    victims: tuple[Victim, ...] = ("worker", "controller", "mailbox", "raylet", "gcs")
    found = through(Faults(victims=victims, number=5, every_s=1.0), recorded, folder)
    assert found.num_off == 0, capsys.readouterr().out
    assert is_as_recorded(found)
    assert sorted(found.killed) == sorted(victims), "each is killed as soon as it is there"
    assert found.num_submissions > 1, "without its mailbox, raylet or GCS a driver ends"
    assert [*folder.glob("ray/session_*")], "nothing of it lies elsewhere"


@pytest.mark.parametrize(
    "faults",
    [{"victims": ()}, {"number": 0}, {"every_s": 0.0}, {"every_s": 60.0, "within_s": 60.0}],
)
def test_faults_kill_something(faults: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="nothing is killed by"):
        Faults(**faults)  # type: ignore[arg-type]  # one of several types


def test_who_is_done_before_the_first_fault_is_told(recorded: Path, folder: Path) -> None:
    rarely = Faults(every_s=1e6, within_s=1e7)
    with pytest.raises(SpecError, match="the run was over before anything was killed, after"):
        through(rarely, recorded, folder, *INPROCESS)


def test_a_record_that_is_not_complete_is_refused(
    recorded: Path, tmp_path: Path, folder: Path
) -> None:
    copy = Path(shutil.copytree(recorded, tmp_path / "run"))
    table = pq.read_table(copy / "predictions.parquet")
    first = table["trial_id"][0]
    left = table.filter(pc.not_equal(table["trial_id"], first))
    pq.write_table(left, copy / "predictions.parquet")
    with pytest.raises(SpecError, match="of the run's 6 trials 1 have not finished"):
        through(Faults(), copy, folder)
    assert not [*folder.iterdir()]


def test_a_job_that_does_not_fit_is_refused(recorded: Path, tmp_path: Path, folder: Path) -> None:
    copy = Path(shutil.copytree(recorded, tmp_path / "run"))
    job = (copy / "job.yaml").read_text(encoding="utf-8")
    assert "workers_per_lane: 1" in job
    wider = job.replace("workers_per_lane: 1", "workers_per_lane: 500")
    (copy / "job.yaml").write_text(wider, encoding="utf-8")
    with pytest.raises(SpecError, match="500"):
        through(Faults(), copy, folder)


def test_a_tolerance_is_checked_first(recorded: Path, folder: Path) -> None:
    with pytest.raises(SpecError, match="the tolerance is 2"):
        reproduce_under_faults(open_storage(str(recorded)), folder, Faults(), COMMAND, 2.0, print)


def run_of(script: str, folder: Path, *victims: Victim, within_s: float = 60.0) -> _Run:
    faults = Faults(victims=victims or ("mailbox",), number=1, every_s=OFTEN, within_s=within_s)
    return _Run(["bash", "-c", script], folder, faults, print)


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
    monkeypatch.setattr("pricon.launch.chaos._GONE_WITHIN_S", 0.5)
    run = run_of("(exec -a straggler sleep 60) & sleep 1; exit 0", tmp_path)
    assert run.to_its_end()
    assert run.num_off == 1
    told = capsys.readouterr().out
    assert told.startswith("submission 1 left behind, 0.5 s after its end: straggler\n")


def test_a_submission_that_hangs_is_told_and_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("echo waiting for ever; sleep 600", tmp_path, within_s=0.5)
    assert not run.to_its_end()
    assert run.num_off == 1
    told = capsys.readouterr().out
    assert told == "submission 1 has not ended within 0.5 s\n  waiting for ever\n"
