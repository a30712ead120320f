"""The terminal's report: 80 columns, no colour needed, warnings first."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from pricon.report.estimate import Estimate
from pricon.report.statistics import summarise
from pricon.report.summary import Comparison, Report
from pricon.report.tables import estimate, percent, seeds, terminal, unfinished_lines
from tests.report.grids import Grid, always, fail, make_run
from tests.report.test_statistics import ARMS, LARGE


def shown(report: Report, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(terminal(report))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_estimates_in_words() -> None:
    assert estimate(Estimate(value=0.7123, low=0.69, high=0.7334)) == "0.712 [0.690, 0.733]"
    assert estimate(Estimate(value=-0.01, low=-0.02, high=0.0), sign="+") == (
        "-0.010 [-0.020, +0.000]"
    )
    assert estimate(Estimate(value=0.5)) == "0.500"
    assert estimate(Estimate(value=float("nan"))) == "-"
    assert percent(Estimate(value=0.634, low=0.21, high=1.04)) == "63% [21, 104]"
    assert percent(Estimate(value=0.634)) == "63%"


def test_signs_of_seeds_in_words() -> None:
    def shown_as(*by_seed: float) -> str:
        nothing = Estimate(value=float("nan"))
        return seeds(
            Comparison(
                arm="pricon",
                reference="e2e",
                difference=nothing,
                by_seed=by_seed,
                num_participants=0,
                p_value=1.0,
                rank_biserial=0.0,
                p_holm=1.0,
                p_fold_seed=1.0,
                smallest_detectable=1.0,
                p_equivalent=1.0,
            )
        )

    assert shown_as(0.0046, 0.0078, 0.0037, -0.0016, -0.0010) == "3+ 2-"
    assert shown_as(0.1, 0.2) == "2+"
    assert shown_as(0.1, 0.0, -0.1, float("nan")) == "1+ 1- 1="
    assert shown_as(float("nan")) == "-"


def test_a_complete_table_fits_80_columns() -> None:
    lines = shown(summarise(*make_run(LARGE))).splitlines()
    assert max(map(len, lines)) <= 80
    header = next(i for i, line in enumerate(lines) if line.startswith("arm"))
    assert lines[header].split("  ")[0] == "arm"
    rows = [line.split()[0] for line in lines[header + 1 : header + 6]]
    assert rows == list(ARMS)
    assert any("pricon minus e2e is +0.150" in line for line in lines)
    assert "INCOMPLETE" not in "".join(lines)


def test_of_several_stimuli_the_macro_average_is_whole_and_each_is_a_row() -> None:
    games = tuple(f"game{number}" for number in range(9))
    plan, results = make_run(replace(LARGE, stimuli=games))
    lines = shown(summarise(plan, results)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("arm ") for line in lines) == 1, "one whole table"
    top = next(i for i, line in enumerate(lines) if line.startswith("macro average over stimuli"))
    assert [line.split()[0] for line in lines[top + 2 : top + 7]] == list(ARMS)
    head = next(i for i, line in enumerate(lines) if line.startswith("stimulus"))
    assert lines[head].split() == ["stimulus", "e2e", "lupi", "pricon", "all_modalities"]
    rows = [line.split() for line in lines[head + 1 : head + 10]]
    assert rows == [[game, "0.650", "0.700", "0.800", "0.900"] for game in games]
    torn = shown(summarise(plan, [fail(results[1]), *results[2:]])).splitlines()
    assert any(line.startswith("game0") and "(3/4)" in line for line in torn)


def test_generated_data_is_said_before_any_number() -> None:
    lines = shown(summarise(*make_run(Grid(arms=ARMS, generated=True)))).splitlines()
    assert lines[1] == "generated data: says nothing about people"


def test_an_incomplete_report_names_ten_and_counts_the_rest() -> None:
    plan, results = make_run(Grid(arms=ARMS, seeds=(0, 1, 2)))
    report = summarise(plan, [fail(results[0]), *results[1:-11]])
    text = shown(report, width=200)
    assert "INCOMPLETE: 12 of 30 trials missing or failed" in text
    assert (
        "failed majority-heist-0-0: majority, heist arousal fold 0 seed 0: "
        "loss is not finite in epoch 3" in text
    )
    assert text.count("\nmissing ") == 9
    assert "... and 2 more" in text
    assert len(unfinished_lines(report)) == 12
    assert "minus e2e is" not in text
    assert "majority (3/6)" in text


def test_an_incomplete_table_still_fits_80_columns() -> None:
    plan, results = make_run(LARGE)
    assert max(map(len, shown(summarise(plan, results[:-1])).splitlines())) <= 80


def test_some_folds_are_said_to_be_some() -> None:
    text = shown(summarise(*make_run(Grid(arms={"e2e": always(1)}, asked=(1,)))))
    assert "INCOMPLETE: only folds 1 of the job were asked for" in text
