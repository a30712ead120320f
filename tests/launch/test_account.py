"""What a driver's lines add up to."""

import pytest

from pricon.launch.account import Account, Cell
from tests.launch.kubernetes.operator import (
    end,
    plan,
    training,
    trial,
    used,
)


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


def test_what_lanes_train_runs() -> None:
    begun = [plan(), training(0, e2e={0: 1}), training(1, pricon={0: 1, 1: 2})]
    assert [cell.running for cell in account(*begun).cells()] == [1, 0, 1, 2]
    said = account(
        *begun, trial("a", "e2e", 0), trial("b", "pricon", 0), training(1, pricon={0: 1})
    )
    assert [cell.running for cell in said.cells()] == [0, 0, 1, 0]
    assert [cell.left for cell in said.cells()] == [0, 1, 1, 2], "what runs is left"
    over = account(*begun, training(0), training(1))
    assert {cell.running for cell in over.cells()} == {0}


@pytest.mark.parametrize("last", [plan(), end(3, "infrastructure", "lost")])
def test_nothing_runs_after_the_end_or_before_the_next_attempt(last: str) -> None:
    assert {cell.running for cell in account(plan(), training(0, e2e={0: 1}), last).cells()} == {0}


def test_of_what_was_used_the_last_word_counts() -> None:
    """It is a sum, over attempts as well."""
    said = account(plan(), used(1.0), used(2.0), end(3, "infrastructure", "lost"), plan())
    assert said.used is not None
    assert said.used.pod_hours == 2.0
    assert account(plan()).used is None


def test_what_cells_took_is_in_the_matrix() -> None:
    said = account(plan(), used(1.0), used(2.0, e2e={0: 0.25, 1: 0.5}, pricon={1: 1.0}))
    assert [cell.pod_hours for cell in said.cells()] == [0.25, 0.5, 0.0, 1.0]


def test_before_the_plan_there_is_no_matrix() -> None:
    assert account("ordinary").cells() == []


@pytest.mark.parametrize("line", ['{"pricon": "plan', '{"other": 1}', "", ' {"pricon": "end"}'])
def test_lines_that_are_no_bulletins(line: str) -> None:
    assert account(line) == Account()
