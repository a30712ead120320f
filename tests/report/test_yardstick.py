"""Each task's words and columns, and that none of a task's words slips into the other's report."""

import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pricon.report.document import to_json
from pricon.report.drawings import draw
from pricon.report.latex import latex
from pricon.report.markdown import markdown
from pricon.report.page import page
from pricon.report.statistics import summarise
from pricon.report.summary import Report
from pricon.report.tables import terminal
from pricon.report.verdict import PARTICIPANTS_ARE_THE_UNIT
from pricon.report.write import PREDICTIONS, TRIALS, write_report
from pricon.report.yardstick import YARDSTICKS, said_and_told, summed
from pricon.spec.statistics import StatisticsSpec
from pricon.storage import open_storage
from tests.report.grids import Grid, make_run, make_value_run
from tests.report.test_page import Outline
from tests.report.test_weighted import noisy

METRICS = ["ccc", "ccc_pooled", "rmse", "pearson"]
ARMS = {
    "time_only": lambda p, s: 9,
    "e2e": lambda p, s: 6 + p % 2,
    "lupi": lambda p, s: 4 + p % 3,
    "pricon": lambda p, s: 3 + p % 2,
    "all_modalities": lambda p, s: 1,
}
GRID = Grid(arms=ARMS, per_fold=6, seeds=(0, 1, 2), num_windows=40)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def report() -> Report:
    return summarise(*make_value_run(GRID), StatisticsSpec(equivalence_margin=0.04))


def test_amounts_are_in_the_unit_of_the_metric() -> None:
    assert YARDSTICKS["classification"].amount(-0.0234) == "2.3 points"
    assert YARDSTICKS["regression"].amount(-0.0234) == "0.023 of CCC"


def test_the_first_metric_is_the_primary_one() -> None:
    assert [words.primary for words in YARDSTICKS.values()] == ["accuracy", "ccc"]
    for words in YARDSTICKS.values():
        assert {*words.of_sums} <= {*words.metrics}


def test_what_resampling_needs_has_a_column_a_sum() -> None:
    people = np.array(["p00", "p01", "p02"])
    _, results = make_run(Grid(arms={"e2e": lambda p, s: 2}, num_folds=1, seeds=(0,)))
    classes = results[0].predictions
    assert classes is not None
    for words, seen in zip(YARDSTICKS.values(), (classes, noisy(30, 3)), strict=True):
        found = summed(seen, np.unique(seen.participant), np.ones((2, 3)))
        assert found.sums.shape == (3, words.num_sums)
        assert {*words.of_sums} | {*found.others} == {*words.metrics}
        said, told = said_and_told(seen)
        assert said is getattr(seen, words.said)
        assert told is seen.label
    assert len(people) == 3


def shown(report: Report) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(terminal(report))
    return console.export_text()


def test_a_regression_report_has_no_word_of_classes(report: Report) -> None:
    """In no view: terminal, pages, LaTeX, JSON; and every view says CCC."""
    texts = {
        "terminal": shown(report),
        "markdown": markdown(report, {}),
        "html": Outline(page(report, {}, draw(report, ()))).text,
        "latex": latex(report),
        "json": to_json(report).decode(),
    }
    for name, text in texts.items():
        words = {*re.findall(r"[a-z_]+", text.lower())}
        assert "ccc" in words, name
        strange = {"accuracy", "majority", "auroc", "probability", "points", "class", "classes"}
        assert not words & {*strange, "share_high", "balanced_accuracy"}, name
        assert not [phrase for phrase in ("high in", "kept windows") if phrase in text], name


def test_a_classification_report_has_no_word_of_values() -> None:
    report = summarise(*make_run(GRID))
    for text in (
        markdown(report, {}),
        page(report, {}, draw(report, ())),
        to_json(report).decode(),
    ):
        words = {*re.findall(r"[a-z_]+", text.lower())}
        assert "accuracy" in words
        assert not words & {"ccc", "ccc_pooled", "rmse", "pearson", "affect_mean", "of_ccc"}


def test_sentences_name_the_metric_s_own_unit(report: Report) -> None:
    verdict = "\n".join(report.verdict)
    assert re.search(r"is higher than (e2e|time_only) by 0\.\d{3} of CCC", verdict), verdict
    assert "H3: with audio available, pricon minus all_modalities is -0." in verdict
    assert "within 0.04 is not shown" in verdict
    assert report.verdict[-1] == PARTICIPANTS_ARE_THE_UNIT


def test_keys_of_a_regression_document(report: Report) -> None:
    document = json.loads(to_json(report))
    assert (document["task"], document["primary"]) == ("regression", "ccc")
    assert document["equivalence_margin"] == 0.04
    assert {*document["arms"][0]["metrics"]} == {*METRICS}
    assert {"num_windows", *METRICS} <= {*document["trials"][0]}
    assert document["folds"][0] == {
        "stimulus": "heist",
        "affect": "arousal",
        "fold": 0,
        "num_windows": {"train": 20.0, "validation": 10.0, "test": 30.0, "dropped": 4.0},
        "affect_mean": pytest.approx({"train": 0.1, "validation": 0.0, "test": 0.3}),
        "affect_sd": pytest.approx({"train": 0.3, "validation": 0.2, "test": 0.4}),
        "constant_rmse": pytest.approx(np.hypot(0.4, 0.2)),
    }


def test_files_of_a_regression_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("report")
    plan, results = make_value_run(GRID)
    write_report(open_storage(str(folder)), plan, results, {})
    windows = pq.read_table(folder / PREDICTIONS)
    assert windows.column_names[-2:] == ["label", "prediction"]
    assert {str(windows.schema.field(name).type) for name in ("label", "prediction")} == {"float"}
    seen = results[0].predictions
    assert seen is not None
    said, told = said_and_told(seen)
    first = windows.slice(0, len(said))
    assert first["prediction"].to_pylist() == said.tolist()
    assert first["label"].to_pylist() == told.tolist()
    trials = pq.read_table(folder / TRIALS)
    assert trials.column_names[-4:] == METRICS
    assert trials["ccc"].null_count == 0
