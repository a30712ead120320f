"""A run whose processes are killed gives what the record says, or says that it does not."""

import shutil
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pricon.errors import LaunchError, SpecError
from pricon.launch.chaos import Ordeal, Storm, _Run, survive
from pricon.launch.victims import Victim
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from tests.end_to_end.test_interrupt import SUBMIT
from tests.launch.real_ray import IN_REAL_RAY
from tests.launch.rehearsal import rehearse
from tests.tiny import QUICK

pytestmark = IN_REAL_RAY

COMMAND = [sys.executable, "-P", "-c", SUBMIT]
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


def through(storm: Storm, recorded: Path, tmp_path: Path, *options: str) -> Ordeal:
    folder = tmp_path / "chaos"
    folder.mkdir()
    return survive(open_storage(str(recorded)), folder, storm, [*COMMAND, *options], print)


def test_a_driver_that_is_killed_again_and_again_finishes_all_the_same(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storm = Storm(victims=("driver",), num_faults=3, every_s=2.0)
    found = through(storm, recorded, tmp_path, "--target", "inprocess")
    assert found.killed == ("driver",) * 3
    assert found.num_submissions == 4
    assert found.off == found.reproduction.off == ()
    assert found.reproduction.num_trials == found.reproduction.num_planned > 0
    assert found.reproduction.largest < 1e-5
    told = capsys.readouterr().out
    assert "  3: killed the driver\n" in told
    assert "  submission 3 ended with exit code -9\n" in told


@pytest.mark.ray
def test_a_run_survives_the_death_of_any_process_of_its_ray(
    recorded: Path, tmp_path: Path, ray_alone: None
) -> None:
    victims: tuple[Victim, ...] = ("worker", "controller", "mailbox", "raylet", "gcs")
    storm = Storm(victims=victims, num_faults=5, every_s=2.0)
    found = through(storm, recorded, tmp_path)
    assert found.off == found.reproduction.off == ()
    assert found.reproduction.num_trials == found.reproduction.num_planned
    assert found.num_submissions > 1, "without its mailbox, raylet or GCS a driver ends"
    assert {*found.killed} <= {*victims}


@pytest.mark.parametrize(
    "storm", [{"victims": ()}, {"num_faults": 0}, {"every_s": 0.0}, {"every_s": float("inf")}]
)
def test_a_storm_kills_something(storm: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="nothing is killed by"):
        Storm(**storm)  # type: ignore[arg-type]  # one of several types


def test_who_is_done_before_the_first_fault_is_told(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the run was over before anything was killed, after"):
        through(Storm(every_s=1e6), recorded, tmp_path, "--target", "inprocess")


def test_a_record_that_is_not_complete_is_refused(recorded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(recorded, tmp_path / "run"))
    table = pq.read_table(copy / "predictions.parquet")
    first = table["trial_id"][0]
    left = table.filter(pc.not_equal(table["trial_id"], first))
    pq.write_table(left, copy / "predictions.parquet")
    with pytest.raises(SpecError, match="1 trials of the run have not finished"):
        through(Storm(), copy, tmp_path)


def run_of(script: str, tmp_path: Path, **storm: float) -> _Run:
    given = Storm(victims=("mailbox",), every_s=OFTEN, **storm)  # type: ignore[arg-type]  # numbers
    return _Run(["bash", "-c", script], tmp_path / "log", given, print)


def test_a_submission_that_fails_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    run = run_of("echo no such corpus; exit 2", tmp_path)
    with pytest.raises(LaunchError, match="submission 1 ended with exit code 2, and nothing of it"):
        run.to_its_end()
    assert "  no such corpus" in run._last_lines()


def test_another_exit_code_than_that_of_a_service_is_told(tmp_path: Path) -> None:
    script = f"""
    [ -e {tmp_path}/second ] && exit 0
    touch {tmp_path}/second
    (exec -a ray::Mailbox sleep 60)
    echo without a word
    exit 1
    """
    run = run_of(script, tmp_path)
    run.to_its_end()
    assert (run.killed, run.num_submissions) == (["mailbox"], 2)
    (line,) = run.off
    assert line.startswith(
        "submission 1 ended with exit code 1, not 3, after the mailbox was killed\n"
    )
    assert line.endswith("\n  without a word")


def test_what_outlives_a_submission_is_told_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricon.launch.chaos._GONE_WITHIN_S", 0.5)
    run = run_of("(exec -a straggler sleep 60) & sleep 1; exit 0", tmp_path)
    run.to_its_end()
    assert run.off == ["submission 1 left behind, 0.5 s after its end: straggler"]
