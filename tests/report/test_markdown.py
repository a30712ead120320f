"""report.md against a golden page; `PRICON_GOLDEN=update` rewrites it."""

import os
from pathlib import Path

from pricon.report.markdown import markdown
from pricon.report.statistics import summarise
from tests.report.grids import Grid, always, fail, make_run
from tests.report.test_statistics import ARMS, LARGE

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"


def test_the_page_is_the_golden_one() -> None:
    arms = {**ARMS, "e2e": lambda p, s: (p + s) % 4 + 2}
    grid = Grid(arms=arms, per_fold=6, stimuli=("heist", "solid"), generated=True)
    page = markdown(summarise(*make_run(grid)), {"standardise": "session", "affect": "arousal"})
    if os.environ.get("PRICON_GOLDEN") == "update":
        GOLDEN.write_text(page)
    assert page == GOLDEN.read_text()


def test_an_incomplete_page_says_so_in_its_title_and_judges_nothing() -> None:
    plan, results = make_run(LARGE)
    page = markdown(summarise(plan, [fail(results[0], "a | b"), *results[2:]]), {})
    title = page.splitlines()[0]
    assert title == "# again-tiny (run run0): INCOMPLETE: 2 of 20 trials missing or failed"
    assert "- failed majority-heist-0-0: majority, heist fold 0 seed 0: a | b" in page
    assert "## What the data show" not in page


def test_session_standardisation_is_called_what_it_is() -> None:
    report = summarise(*make_run(Grid(arms={"e2e": always(1)})))
    assert "looks into the future" in markdown(report, {"standardise": "session"})
    assert "looks into the future" not in markdown(report, {"standardise": "training"})


def test_a_report_of_nothing_is_a_page_too() -> None:
    plan, _ = make_run(LARGE)
    assert "No trial told its windows." in markdown(summarise(plan, []), {})
