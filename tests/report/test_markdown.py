"""report.md against a golden page; `PRICON_GOLDEN=update` rewrites it."""

import os
from pathlib import Path

from pricon.report.markdown import METHOD, markdown, method
from pricon.report.statistics import summarise
from pricon.spec.job import Arm
from tests.report.grids import Grid, Wrong, always, fail, make_run
from tests.report.surfaces import PLAIN, make_surfaces
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
    assert "- failed majority-heist-0-0: majority, heist arousal fold 0 seed 0: a | b" in page
    assert "## What the data show" not in page


def test_an_incomplete_page_names_every_unfinished_trial() -> None:
    plan, results = make_run(LARGE)
    page = markdown(summarise(plan, results[:-17]), {})
    named = [line for line in page.splitlines() if line.startswith("- missing ")]
    assert named == [
        f"- missing {r.trial.id}: {r.trial.arm}"
        + (f" ({r.trial.modality})" if r.trial.modality else "")
        + f", {r.cell}"
        for r in results[-17:]
    ]
    assert "more" not in page.split("## Arms")[0]


def test_the_table_of_comparisons_shows_how_seeds_fell() -> None:
    gain = {0: 1, 1: 2, 2: -1}
    arms: dict[Arm, Wrong] = {"e2e": always(4), "pricon": lambda p, s: 4 - gain[s]}
    page = markdown(summarise(*make_run(Grid(arms=arms, seeds=(0, 1, 2)))), {})
    heading, _, row = page[page.index("| comparison") :].splitlines()[:3]
    assert [cell.strip() for cell in heading.split("|")][2:4] == ["difference", "seeds"]
    assert [cell.strip() for cell in row.split("|")][3] == "2+ 1-"


def test_the_method_says_what_its_intervals_and_tests_leave_out() -> None:
    assert (
        "Intervals and tests over participants condition on the trained models: they say what "
        "other\nparticipants might have shown, not what training again might have shown. Training "
        "noise enters\nneither."
    ) in METHOD
    words = method(summarise(*make_run(LARGE)))
    assert "for AUROC one of which it drew windows\nof one class only." in words


def test_session_standardisation_is_called_what_it_is() -> None:
    report = summarise(*make_run(Grid(arms={"e2e": always(1)})))
    assert "looks into the future" in markdown(report, {"standardise": "session"})
    assert "looks into the future" not in markdown(report, {"standardise": "training"})


def test_a_report_of_nothing_is_a_page_too() -> None:
    plan, _ = make_run(LARGE)
    assert "No trial told its windows." in markdown(summarise(plan, []), {})


def test_a_grid_has_a_table_for_each_tau_and_says_who_judged() -> None:
    page = markdown(summarise(*make_surfaces(PLAIN)), {})
    title = page.splitlines()[0]
    assert title == (
        "# grid-tiny (run run0): judged on validation participants: for choosing settings, "
        "not for claims"
    )
    assert "## Arms" not in page
    assert "H1" not in page.replace("SHA", "")
    assert (
        "tau 0.1:\n\n"
        "| a    | T 0.5                   | T 2                     |\n"
        "|------|-------------------------|-------------------------|\n"
        "| 0.1  | +0.100 [+0.100, +0.100] | +0.000 [+0.000, +0.000] |\n"
        "| 0.25 | +0.200 [+0.200, +0.200] | +0.100 [+0.100, +0.100] |\n"
    ) in page
    assert "- The job's own setting: a 0.25, T 0.5.\n" in page
    assert "- The job's own setting: a 0.25, T 0.5, tau 0.1.\n" in page
    assert (
        "- Best by each fold's own validation participants: a 0.25, T 0.5, tau 0.1 "
        "(`--only-folds 0,1,2`).\n"
    ) in page
    assert "a\nsetting chosen over all folds has seen most people" in page
    assert "The best of each\nfold is clean" in page
    assert page.count("\n| 0.25 |") == 3, "lupi depends on no tau"


def test_an_unfinished_trial_of_a_grid_says_its_setting() -> None:
    plan, results = make_surfaces(PLAIN)
    page = markdown(summarise(plan, results[:-1]), {})
    assert ": pricon (audio), a 0.1, T 2, tau 0.05, heist arousal fold 2 seed 1\n" in page
    assert "## What the data show" not in page
