"""What a driver's lines add up to."""

import pytest

from pricon.launch.account import Account, Cell, words_of
from pricon.launch.bulletins import read
from tests.launch.kubernetes.operator import FOLDER, end, plan, progress, report, trial


def account(*lines: str) -> Account:
    found = Account()
    for line in lines:
        found.take(line)
    return found


def test_trials_fill_the_matrix() -> None:
    said = account(
        "ray says something", plan(), trial("a", "e2e", 0), trial("b", "pricon", 0),
        trial("c", "pricon", 0, error="no test window"), trial("a", "e2e", 0),
    )  # fmt: skip
    assert said.cells() == [
        Cell(arm="e2e", fold=0, done=1, failed=0, total=1),
        Cell(arm="e2e", fold=1, done=0, failed=0, total=1),
        Cell(arm="pricon", fold=0, done=1, failed=1, total=2),
        Cell(arm="pricon", fold=1, done=0, failed=0, total=2),
    ]
    assert [cell.left for cell in said.cells()] == [0, 1, 0, 2]


def test_a_trial_that_succeeds_on_another_attempt_has_not_failed() -> None:
    said = account(plan(), trial("a", "e2e", 0, error="lost"), end(3, "infrastructure", "lost"),
                   plan(), trial("a", "e2e", 0))  # fmt: skip
    assert said.cells()[0] == Cell(arm="e2e", fold=0, done=1, failed=0, total=1)
    assert said.end is None


def test_before_the_plan_there_is_no_matrix() -> None:
    assert account("ordinary").cells() == []


@pytest.mark.parametrize("line", ['{"pricon": "plan', '{"other": 1}', "", ' {"pricon": "end"}'])
def test_lines_that_are_no_bulletins(line: str) -> None:
    assert account(line) == Account()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (plan(), f"plan: 6 trials, 2 arms (e2e, pricon) x 2 folds   output={FOLDER}"),
        (trial("ab12", "e2e", 3), "trial ab12 (e2e, heist, fold 3, seed 0) finished"),
        (
            trial("ab12", "e2e", 3, error="one class"),
            "trial ab12 (e2e, heist, fold 3, seed 0) failed: one class",
        ),
        (progress("lane 0: epoch 3"), "lane 0: epoch 3"),
        (report("a table\n"), f"a table\nreport   {FOLDER}/report.html"),
        (end(2, "input", "`x` is wrong"), "`x` is wrong"),
        (end(), "ended: done (exit code 0)"),
    ],
)  # fmt: skip
def test_bulletins_in_words(line: str, words: str) -> None:
    found = read(line)
    assert found is not None
    assert words_of(found) == words
