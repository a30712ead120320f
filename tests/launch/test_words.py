"""Bulletins as people read them."""

import pytest

from pricon.launch.bulletins import UsageBulletin, read
from pricon.launch.words import words_of, words_of_usage
from tests.launch.kubernetes.operator import (
    FOLDER,
    end,
    plan,
    progress,
    report,
    training,
    trial,
    used,
)

PRICE = "the profile's price, no head"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (plan(), f"plan: 6 trials, 2 arms (e2e, pricon) x 2 folds   output={FOLDER}"),
        (trial("ab12", "e2e", 3), "trial ab12 (e2e, heist, fold 3, seed 0) finished"),
        (
            trial("ab12", "e2e", 3, error="one class"),
            "trial ab12 (e2e, heist, fold 3, seed 0) failed: one class",
        ),
        (training(0, e2e={0: 1}), None),
        (progress("lane 0: epoch 3"), "lane 0: epoch 3"),
        (used(1.0), None),
        (
            used(12.0, is_last=True),
            f"used     12.0 pod-hours, 12.0 GPU-hours, about 18.00 EUR ({PRICE})",
        ),
        (
            used(12.0, is_last=True, e2e={0: 2.0, 1: 1.0}, pricon={0: 7.5}),
            f"used     12.0 pod-hours, 12.0 GPU-hours, about 18.00 EUR ({PRICE})\n"
            "         e2e 25%, pricon 62%, beside training 12%",
        ),
        (report("a table\n"), f"a table\nreport   {FOLDER}/report.html"),
        (end(2, "input", "`x` is wrong"), "`x` is wrong"),
        (end(), "ended: done (exit code 0)"),
    ],
)  # fmt: skip
def test_bulletins_in_words(line: str, words: str | None) -> None:
    found = read(line)
    assert found is not None
    assert words_of(found) == words


@pytest.mark.parametrize(
    ("hours", "words"), [(0.0, "0"), (0.0019, "0.002"), (0.25, "0.25"), (2, "2.00"), (30, "30.0")]
)
def test_hours_have_digits_that_say_something(hours: float, words: str) -> None:
    told = UsageBulletin(pod_hours=hours, gpu_hours=0.0)
    assert words_of_usage(told) == f"used     {words} pod-hours"


def test_of_nothing_nobody_has_a_part() -> None:
    told = UsageBulletin(pod_hours=0.0, gpu_hours=0.0, cells={"e2e": {0: 0.0}})
    assert words_of_usage(told) == "used     0 pod-hours"


def test_parts_that_are_rounded_up_are_not_more_than_all() -> None:
    told = UsageBulletin(pod_hours=0.0001, gpu_hours=0.0, cells={"e2e": {0: 0.00012}})
    assert words_of_usage(told).splitlines()[1].strip() == "e2e 100%, beside training 0%"
