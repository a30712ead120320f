"""A recorded run trained again gives the same predictions; what cannot is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pricon.errors import CorpusError, PlanError
from pricon.launch.compare import Reproduction
from pricon.launch.preflight import Prepared
from pricon.launch.reproduce import reproduce
from pricon.storage import open_storage
from tests.launch.rehearsal import Listener

TRIALS = 10


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def again(folder: Path, tmp_path: Path, tolerance: float = 1e-3) -> Reproduction:
    def view(prepared: Prepared) -> Listener:
        return Listener()

    return reproduce(open_storage(str(folder)), tmp_path / "again", "inprocess", tolerance, view)


def test_the_same_job_gives_the_same_predictions(finished: Path, tmp_path: Path) -> None:
    found = again(finished, tmp_path)
    assert found == Reproduction(
        run_id=finished.name, num_trials=TRIALS, num_planned=TRIALS, largest=found.largest, off=()
    )
    assert found.largest < 1e-5
    assert len([*(tmp_path / "again" / "stages").glob("*.json")]) == 14, "nothing was taken over"


def test_a_damaged_run_is_refused_before_anything_is_trained(copy: Path, tmp_path: Path) -> None:
    (copy / "results.json").write_bytes(b"{")
    with pytest.raises(CorpusError, match=r"the run in .* is damaged"):
        again(copy, tmp_path)
    assert not (tmp_path / "again").exists()


def test_a_changed_prediction_is_found(copy: Path, tmp_path: Path) -> None:
    file = copy / "predictions.parquet"
    table = pq.read_table(file)
    column = table.column_names.index("probability_high")
    values = table["probability_high"].to_numpy().copy()
    values[0] += np.float32(0.01)
    pq.write_table(table.set_column(column, "probability_high", pa.array(values)), file)
    found = again(copy, tmp_path)
    assert found.largest == pytest.approx(0.01, abs=1e-4)
    assert found.off == ("majority fps arousal fold 0 seed 0: predictions differ by 0.01",)


def test_a_corpus_that_is_gone_is_not_built_again(copy: Path, tmp_path: Path) -> None:
    file = copy / "job.yaml"
    gone = file.read_text(encoding="utf-8").replace("/corpus\n", "/gone\n")
    file.write_text(gone, encoding="utf-8")
    with pytest.raises(CorpusError, match="there is no corpus at"):
        again(copy, tmp_path)


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
