"""A recorded run trained again gives the same predictions; what cannot is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pricon.errors import CorpusError, PlanError
from pricon.launch.preflight import Prepared
from pricon.launch.reproduce import Reproduction, reproduce
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from tests.launch.rehearsal import Listener, rehearse
from tests.tiny import build, tiny_job

TRIALS = 10


@pytest.fixture(scope="module")
def recorded(built: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny job."""
    output = tmp_path_factory.mktemp("recorded")
    report = rehearse(built.model_copy(update={"output": str(output)}))
    return output / "tiny" / report.run_id


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "run"))


def again(folder: Path, tmp_path: Path, tolerance: float = 1e-3) -> Reproduction:
    def view(prepared: Prepared) -> Listener:
        return Listener()

    return reproduce(open_storage(str(folder)), tmp_path / "again", "inprocess", tolerance, view)


def test_the_same_job_gives_the_same_predictions(recorded: Path, tmp_path: Path) -> None:
    found = again(recorded, tmp_path)
    assert found == Reproduction(
        run_id=recorded.name, num_trials=TRIALS, num_planned=TRIALS, largest=found.largest, off=()
    )
    assert found.largest < 1e-5
    assert len([*(tmp_path / "again" / "stages").glob("*.json")]) == 14, "nothing was taken over"


def test_a_changed_prediction_is_found_and_named(copy: Path, tmp_path: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    column = table.column_names.index("probability_high")
    values = table["probability_high"].to_numpy().copy()
    values[0] += np.float32(0.01)
    pq.write_table(table.set_column(column, "probability_high", pa.array(values)), file)
    found = again(copy, tmp_path)
    assert found.largest == pytest.approx(0.01, abs=1e-4)
    (line,) = found.off
    assert line == "majority fps arousal fold 0 seed 0: predictions differ by 0.01"
    shutil.rmtree(tmp_path / "again")
    assert again(copy, tmp_path, tolerance=0.02).off == ()


def test_a_trial_that_only_one_run_has(copy: Path, tmp_path: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    first = table["trial_id"][0].as_py()
    keep = np.array(table["trial_id"].to_pylist()) != first
    pq.write_table(table.filter(pa.array(keep)), file)
    found = again(copy, tmp_path)
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
    name: str, change: Change, copy: Path, tmp_path: Path
) -> None:
    file = copy / "predictions.parquet"
    pq.write_table(tampered(pq.read_table(file), name, change), file)
    found = again(copy, tmp_path)
    assert found.off
    assert found.largest == 1


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auroc"])
def test_any_metric_of_an_arm_that_its_predictions_do_not_give_is_found(
    metric: str, copy: Path, tmp_path: Path
) -> None:
    document = json.loads((copy / "results.json").read_text())
    document["arms"][0]["metrics"][metric]["mean"] = 0.99
    (copy / "results.json").write_text(json.dumps(document))
    found = again(copy, tmp_path)
    assert len(found.off) == 1
    assert f"has {metric} 0.99, its predictions give" in found.off[0]


def test_an_invented_trial_is_named(copy: Path, tmp_path: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    invented = tampered(table.slice(0, 5), "trial_id", lambda values: np.full_like(values, "ffff"))
    pq.write_table(pa.concat_tables([table, invented]).unify_dictionaries(), file)
    assert again(copy, tmp_path).off == ("a trial that the job does not have: ffff",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("predictions.parquet", b"no parquet"),
        ("predictions.parquet", None),
        ("plan.json", b"{"),
        ("results.json", b"{"),
    ],
)
def test_a_damaged_run_is_refused_before_anything_is_trained(
    name: str, content: bytes | None, copy: Path, tmp_path: Path
) -> None:
    if content is None:
        table = pq.read_table(copy / name).drop_columns(["probability_high"])
        pq.write_table(table, copy / name)
    else:
        (copy / name).write_bytes(content)
    with pytest.raises(CorpusError, match=r"the run in .* is damaged"):
        again(copy, tmp_path)
    assert not (tmp_path / "again").exists()


def test_a_corpus_that_is_gone_is_not_built_again(copy: Path, tmp_path: Path) -> None:
    file = copy / "job.yaml"
    gone = file.read_text(encoding="utf-8").replace("/corpus\n", "/gone\n")
    file.write_text(gone, encoding="utf-8")
    with pytest.raises(CorpusError, match="there is no corpus at"):
        again(copy, tmp_path)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"not the folder of a finished run: it has no `job.yaml`"
    ):
        again(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("corpus_digest", "0" * 64, "changed since: the corpus: its digest was 0000000000000000"),
        ("run_id", "0" * 16, "changed since: `job.yaml` of the run, or what"),
    ],
)
def test_what_has_changed_since_is_another_run(
    key: str, value: str, message: str, copy: Path, tmp_path: Path
) -> None:
    plan = json.loads((copy / "plan.json").read_text(encoding="utf-8"))
    plan |= {"run_id": "0" * 16, key: value}
    (copy / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(PlanError, match=message):
        again(copy, tmp_path)
    assert not (tmp_path / "again").exists()


def test_a_regression_run_is_compared_by_its_predictions(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, task="regression", arms=["e2e"]))
    folder = Path(job.output) / "tiny" / rehearse(job).run_id
    found = again(folder, tmp_path)
    assert (found.num_trials, found.off) == (2, ())
    assert found.largest < 1e-5
    file = folder / "predictions.parquet"
    table = pq.read_table(file)
    values = table["prediction"].to_numpy().copy()
    values[0] += np.float32(0.01)
    column = table.column_names.index("prediction")
    pq.write_table(table.set_column(column, "prediction", pa.array(values)), file)
    shutil.rmtree(tmp_path / "again")
    found = again(folder, tmp_path)
    assert found.largest == pytest.approx(0.01, abs=1e-5)
    assert any(line.endswith("predictions differ by 0.01") for line in found.off)


def test_a_ccc_that_its_predictions_do_not_give_is_found(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, task="regression", arms=["e2e"]))
    folder = Path(job.output) / "tiny" / rehearse(job).run_id
    document = json.loads((folder / "results.json").read_text())
    document["trials"][0]["ccc"] = 0.99
    (folder / "results.json").write_text(json.dumps(document))
    found = again(folder, tmp_path)
    assert len(found.off) == 1
    assert "has ccc 0.99, its predictions give" in found.off[0]
