"""The folder of a run is read whole, or refused with words."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pricon.errors import CorpusError
from pricon.launch.recorded import read_recorded
from pricon.storage import open_storage


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_what_a_run_holds(finished: Path) -> None:
    recorded = read_recorded(open_storage(str(finished)))
    assert recorded.plan.run_id == finished.name
    assert recorded.num_missing == 0
    assert recorded.contents.predictions.keys() == {trial.id for trial in recorded.plan.trials}
    for predicted in recorded.contents.predictions.values():
        assert len(predicted.said) == predicted.others.num_rows > 0


def test_missing_trials_are_counted(copy: Path) -> None:
    file = copy / "predictions.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    recorded = read_recorded(open_storage(str(copy)))
    assert recorded.num_missing == len(recorded.plan.trials)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("predictions.parquet", b"no parquet"),
        ("predictions.parquet", None),
        ("plan.json", b"{"),
        ("results.json", b"{"),
    ],
)
def test_a_damaged_run_is_refused(name: str, content: bytes | None, copy: Path) -> None:
    if content is None:
        table = pq.read_table(copy / name).drop_columns(["probability_high"])
        pq.write_table(table, copy / name)
    else:
        (copy / name).write_bytes(content)
    with pytest.raises(CorpusError, match=r"the run in .* is damaged"):
        read_recorded(open_storage(str(copy)))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"not the folder of a finished run: it has no `job.yaml`"
    ):
        read_recorded(open_storage(str(tmp_path / "nowhere")))
