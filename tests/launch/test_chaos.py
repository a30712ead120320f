"""A run whose processes are killed gives what the record says, or says that it does not."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pricon.errors import SpecError
from pricon.launch.chaos import Outcome, reproduce_under_faults
from pricon.launch.compare import TOLERANCE
from pricon.launch.faults import Faults
from pricon.launch.victims import Victim
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from tests.end_to_end.test_interrupt import SUBMIT
from tests.launch.real_ray import IN_REAL_RAY
from tests.launch.rehearsal import rehearse
from tests.launch.train_workers import at_most
from tests.tiny import QUICK

pytestmark = IN_REAL_RAY

COMMAND = [sys.executable, "-P", "-c", SUBMIT]
INPROCESS = ["--target", "inprocess"]
LONG = {"learning_rate": 1e-3, "epochs": 3000, "patience": 3000}


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
    assert "  2: killed the driver, the last one\n" in told
    assert "  submission 2 ended with exit code -9\n" in told
    assert len([*folder.glob("submission-*.log")]) == 3


@pytest.mark.ray
def test_a_run_survives_the_death_of_any_process_of_its_ray(
    recorded: Path, folder: Path, capsys: pytest.CaptureFixture[str], ray_alone: None
) -> None:
    victims: tuple[Victim, ...] = ("worker", "controller", "mailbox", "raylet", "gcs")
    with at_most(400):
        found = through(Faults(victims=victims, number=5, every_s=1.0), recorded, folder)
    assert found.num_off == 0, capsys.readouterr().out
    assert is_as_recorded(found)
    assert sorted(found.killed) == sorted(victims), "each is killed as soon as it is there"
    assert found.num_submissions > 1, "without its mailbox, raylet or GCS a driver ends"
    assert [*folder.glob("ray/session_*")], "nothing of it lies elsewhere"


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
