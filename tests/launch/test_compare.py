"""Whatever differs from the record is found and named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pricon.launch.compare import Reproduction, compare
from pricon.launch.recorded import contents_of, read_recorded
from pricon.storage import open_storage
from tests.launch.rehearsal import rehearse
from tests.tiny import build, tiny_job

TRIALS = 10


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A record of it, which a test changes."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def compared(record: Path, finished: Path, tolerance: float = 1e-3) -> Reproduction:
    recorded = read_recorded(open_storage(str(record)))
    found = contents_of(open_storage(str(finished)), recorded.plan)
    return compare(recorded, found, {}, tolerance)


def test_a_record_is_like_itself(copy: Path, finished: Path) -> None:
    assert compared(copy, finished) == Reproduction(
        run_id=finished.name, num_trials=TRIALS, num_planned=TRIALS, largest=0.0, off=()
    )


def test_a_changed_prediction_is_found_and_named(copy: Path, finished: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    column = table.column_names.index("probability_high")
    values = table["probability_high"].to_numpy().copy()
    values[0] += np.float32(0.01)
    pq.write_table(table.set_column(column, "probability_high", pa.array(values)), file)
    found = compared(copy, finished)
    assert found.largest == pytest.approx(0.01, abs=1e-4)
    (line,) = found.off
    assert line == "majority fps arousal fold 0 seed 0: predictions differ by 0.01"
    assert compared(copy, finished, tolerance=0.02).off == ()


def test_a_trial_that_only_one_run_has(copy: Path, finished: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    first = table["trial_id"][0].as_py()
    keep = np.array(table["trial_id"].to_pylist()) != first
    pq.write_table(table.filter(pa.array(keep)), file)
    found = compared(copy, finished)
    assert (found.num_trials, found.num_planned) == (TRIALS - 1, TRIALS)
    assert found.off == ("majority fps arousal fold 0 seed 0: finished now, not then",)


Change = Callable[[NDArray[Any]], NDArray[Any]]


def tampered(table: pa.Table, name: str, change: Change) -> pa.Table:
    column = table.column_names.index(name)
    values = change(np.array(table[name].to_pylist()))
    return table.set_column(column, name, pa.array(values).cast(table.schema.field(name).type))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("probability_high", lambda values: np.full_like(values, np.nan)),
        ("label", lambda values: 1 - values),
        ("participant", lambda values: np.full_like(values, "nobody")),
        ("arm", lambda values: np.where(values == "lupi", "e2e", values)),
    ],
)
def test_nothing_else_may_be_tampered_with(
    name: str, change: Change, copy: Path, finished: Path
) -> None:
    file = copy / "predictions.parquet"
    pq.write_table(tampered(pq.read_table(file), name, change), file)
    found = compared(copy, finished)
    assert found.off
    assert found.largest == 1


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auroc"])
def test_any_metric_of_an_arm_that_its_predictions_do_not_give_is_found(
    metric: str, copy: Path, finished: Path
) -> None:
    document = json.loads((copy / "results.json").read_text())
    document["arms"][0]["metrics"][metric]["mean"] = 0.99
    (copy / "results.json").write_text(json.dumps(document))
    found = compared(copy, finished)
    assert len(found.off) == 1
    assert f"has {metric} 0.99, its predictions give" in found.off[0]


def test_an_invented_trial_is_named(copy: Path, finished: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    invented = tampered(table.slice(0, 5), "trial_id", lambda values: np.full_like(values, "ffff"))
    pq.write_table(pa.concat_tables([table, invented]).unify_dictionaries(), file)
    assert compared(copy, finished).off == ("a trial that the job does not have: ffff",)


def test_a_trial_that_has_not_finished_again_is_named_with_its_error(
    copy: Path, finished: Path
) -> None:
    """As `test_a_trial_that_only_one_run_has`, the other way round."""
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    first = table["trial_id"][0].as_py()
    pq.write_table(table.filter(pc.not_equal(table["trial_id"], first)), file)
    recorded = read_recorded(open_storage(str(finished)))
    found = contents_of(open_storage(str(copy)), recorded.plan)
    where = "majority fps arousal fold 0 seed 0: finished then, not now: "
    assert compare(recorded, found, {first: "loss is nan"}, 1e-3).off == (f"{where}loss is nan",)
    assert compare(recorded, found, {}, 1e-3).off == (f"{where}it has not finished",)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run whose trials predict values."""
    job = build(tiny_job(tmp_path_factory.mktemp("values"), task="regression", arms=["e2e"]))
    return Path(job.output) / "tiny" / rehearse(job).run_id


def test_a_regression_run_is_compared_by_its_predictions(regression: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(regression, tmp_path / "run"))
    assert compared(copy, regression).off == ()
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    values = table["prediction"].to_numpy().copy()
    values[0] += np.float32(0.01)
    column = table.column_names.index("prediction")
    pq.write_table(table.set_column(column, "prediction", pa.array(values)), file)
    found = compared(copy, regression)
    assert found.largest == pytest.approx(0.01, abs=1e-5)
    assert any(line.endswith("predictions differ by 0.01") for line in found.off)


def test_a_ccc_that_its_predictions_do_not_give_is_found(regression: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(regression, tmp_path / "run"))
    document = json.loads((copy / "results.json").read_text())
    document["trials"][0]["ccc"] = 0.99
    (copy / "results.json").write_text(json.dumps(document))
    found = compared(copy, regression)
    assert len(found.off) == 1
    assert "has ccc 0.99, its predictions give" in found.off[0]
