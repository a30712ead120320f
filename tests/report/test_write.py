"""The files of a report, read back."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pricon.report.results import Predictions
from pricon.report.write import (
    FIGURES,
    PREDICTIONS,
    REPORT,
    RESULTS,
    TRIALS,
    write_report,
)
from pricon.storage import open_storage
from tests.report.grids import fail, make_run
from tests.report.surfaces import PLAIN, make_surfaces
from tests.report.test_statistics import LARGE


def test_files_read_back(tmp_path: Path) -> None:
    plan, results = make_run(LARGE)
    results[-1] = fail(results[-1])
    report = write_report(open_storage(str(tmp_path)), plan, results, {"affect": "arousal"})
    assert not report.complete
    assert "- affect: arousal" in (tmp_path / REPORT).read_text()
    assert json.loads((tmp_path / RESULTS).read_bytes())["failed"] == [results[-1].trial.id]
    trials = pq.read_table(tmp_path / TRIALS).to_pylist()
    assert [row["trial_id"] for row in trials] == [trial.id for trial in plan.trials]
    assert trials[-1]["status"] == "failed"
    assert trials[-1]["accuracy"] is None
    windows = pq.read_table(tmp_path / PREDICTIONS)
    assert windows.num_rows == 19 * 40
    of_first = windows.slice(0, 40)
    seen = results[0].predictions
    assert isinstance(seen, Predictions)
    assert of_first["participant"].to_pylist() == seen.participant.tolist()
    assert of_first["probability_high"].to_pylist() == seen.probability_high.tolist()
    assert of_first["label"].to_pylist() == seen.label.tolist()


@pytest.mark.parametrize("at_once", [1, 95, 160, 10**6])
def test_predictions_are_the_same_however_many_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    plan, results = make_run(LARGE)
    monkeypatch.setattr("pricon.report.write._ROWS_AT_ONCE", at_once)
    write_report(open_storage(str(tmp_path)), plan, results, {})
    file = pq.ParquetFile(tmp_path / PREDICTIONS)
    groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sum(groups) == 20 * 40
    assert max(groups) < at_once + 40, "no more than asked for, and the trial that reached it"
    rows = file.read().to_pylist()
    assert [row["trial_id"] for row in rows[::40]] == [trial.id for trial in plan.trials]
    for at, result in enumerate(results):
        seen, mine = result.predictions, rows[40 * at : 40 * (at + 1)]
        assert isinstance(seen, Predictions)
        assert [row["window"] for row in mine] == seen.window.tolist()
        assert [row["participant"] for row in mine] == seen.participant.tolist()
        assert {(row["arm"], row["fold"], row["seed"]) for row in mine} == {
            (result.trial.arm, result.cell.fold, result.cell.seed)
        }


def test_nothing_finished_writes_all_files(tmp_path: Path) -> None:
    plan, _ = make_run(LARGE)
    write_report(open_storage(str(tmp_path)), plan, [], {})
    assert pq.read_table(tmp_path / PREDICTIONS).num_rows == 0


def test_figures_are_files_and_those_of_an_earlier_report_go(tmp_path: Path) -> None:
    plan, results = make_run(LARGE)
    storage = open_storage(str(tmp_path))
    write_report(storage, plan, results, {})
    before = {path.name for path in (tmp_path / FIGURES).iterdir()}
    kinds = ("participants", "gap-closed", "calibration")
    assert before == {f"heist-arousal-audio-{kind}.svg" for kind in kinds}
    write_report(storage, plan, [fail(results[0]), *results[1:]], {})
    after = {path.name for path in (tmp_path / FIGURES).iterdir()}
    assert before - after == {"heist-arousal-audio-gap-closed.svg"}, "no gap of an incomplete run"


def test_same_results_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_report(open_storage(str(tmp_path / folder)), *make_run(LARGE), {})
    for name in (REPORT, RESULTS, TRIALS, PREDICTIONS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_trials_of_a_grid_say_their_setting(tmp_path: Path) -> None:
    plan, results = make_surfaces(PLAIN)
    write_report(open_storage(str(tmp_path)), plan, results, {})
    rows = {row["trial_id"]: row for row in pq.read_table(tmp_path / TRIALS).to_pylist()}
    for trial in plan.trials:
        named = {key: rows[trial.id][key] for key in trial.setting.to_dict()}
        assert named == trial.setting.to_dict()
