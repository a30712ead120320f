"""Which sentence follows from which numbers."""

from dataclasses import replace
from math import nan

from pricon.report.statistics import summarise
from pricon.report.summary import Comparison, Estimate
from pricon.report.verdict import GENERATED, PARTICIPANTS_ARE_THE_UNIT, judge
from pricon.spec.job import Arm
from tests.report.grids import Grid, Wrong, always, make_run

UNCLEAR = Comparison(
    arm="pricon",
    reference="e2e",
    difference=Estimate(value=0.012, low=-0.004, high=0.028),
    num_participants=124,
    p_value=0.05,
    p_holm=0.2,
    p_fold_seed=0.01,
    smallest_detectable=0.021,
)


def test_an_interval_with_zero_shows_no_difference() -> None:
    assert judge(UNCLEAR) == (
        "pricon minus e2e is +0.012 [-0.004, +0.028] over 124 participants: the interval includes "
        "zero, so these data do not show a difference (Wilcoxon over participants, Holm: "
        "p = 0.200; differences below 0.021 are beyond this sample)."
    )


def test_interval_and_test_together_show_a_direction() -> None:
    better = replace(UNCLEAR, difference=Estimate(value=0.02, low=0.01, high=0.03), p_holm=0.0004)
    assert judge(better).endswith(
        "the interval excludes zero and the test agrees, so pricon is higher than e2e "
        "(Wilcoxon over participants, Holm: p < 0.001)."
    )
    worse = replace(better, difference=Estimate(value=-0.02, low=-0.03, high=-0.01))
    assert "so pricon is lower than e2e" in judge(worse)


def test_an_interval_alone_establishes_nothing() -> None:
    lonely = replace(UNCLEAR, difference=Estimate(value=-0.02, low=-0.03, high=-0.01), p_holm=0.06)
    assert "lies below zero, but the test does not confirm it" in judge(lonely)
    assert "a difference is not established" in judge(replace(lonely, p_holm=nan))


def test_without_an_interval_the_data_show_nothing() -> None:
    one = replace(UNCLEAR, difference=Estimate(value=0.4), num_participants=1)
    assert judge(one) == (
        "pricon minus e2e is +0.400 over 1 participants: "
        "too few for an interval, so these data show nothing."
    )


def test_a_verdict_names_its_unit_and_a_gap_that_is_not_there() -> None:
    arms: dict[Arm, Wrong] = {"e2e": always(2), "pricon": always(2), "all_modalities": always(3)}
    verdict = summarise(*make_run(Grid(arms=arms))).verdict
    assert verdict[-1] == PARTICIPANTS_ARE_THE_UNIT
    assert "all_modalities minus e2e is -0.100: there is no gap" in verdict[-2]


def test_generated_recordings_show_nothing_about_people() -> None:
    arms: dict[Arm, Wrong] = {"e2e": always(2), "pricon": always(1)}
    verdict = summarise(*make_run(Grid(arms=arms, generated=True))).verdict
    assert verdict[-1] == GENERATED


def test_nothing_to_compare_gives_no_verdict() -> None:
    assert summarise(*make_run(Grid(arms={"e2e": always(2)}))).verdict == ()
