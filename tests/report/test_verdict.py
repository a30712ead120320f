"""Which sentence follows from which numbers."""

from dataclasses import fields, replace
from math import nan

import numpy as np
import pytest

from pricon.report.estimate import Estimate
from pricon.report.results import Predictions, TrialResult, ValuePredictions
from pricon.report.statistics import summarise
from pricon.report.summary import Comparison
from pricon.report.tables import comparisons
from pricon.report.verdict import (
    GENERATED,
    NOT_JUDGED,
    PARTICIPANTS_ARE_THE_UNIT,
    judge,
    judge_equivalence,
)
from pricon.report.yardstick import YARDSTICKS
from pricon.spec.job import Arm
from pricon.spec.statistics import StatisticsSpec
from tests.report.grids import Grid, Wrong, always, make_run, make_value_run
from tests.report.test_statistics import LARGE

POINTS = YARDSTICKS["classification"]
UNCLEAR = Comparison(
    arm="pricon",
    reference="e2e",
    difference=Estimate(value=0.012, low=-0.004, high=0.028),
    by_seed=(0.02, 0.01, 0.006),
    num_participants=124,
    p_value=0.05,
    rank_biserial=0.3,
    p_holm=0.2,
    p_fold_seed=0.01,
    smallest_detectable=0.021,
    p_equivalent=0.5,
)
BETTER = replace(
    UNCLEAR,
    difference=Estimate(value=0.0242, low=0.0101, high=0.0383),
    by_seed=(0.03, 0.02, 0.0226),
)
WORSE = replace(
    UNCLEAR,
    difference=Estimate(value=-0.02, low=-0.03, high=-0.01),
    rank_biserial=-0.3,
    by_seed=(-0.01, -0.03, -0.02),
)


def test_an_interval_with_zero_shows_no_difference() -> None:
    assert judge(UNCLEAR, 0.2, 5, POINTS) == (
        "pricon minus e2e is +0.012 [-0.004, +0.028] over 124 participants: the interval includes "
        "zero, so these data do not show a difference (Wilcoxon over participants, Holm over "
        "5 comparisons: p = 0.200; differences below 0.021 are beyond this sample)."
    )


def test_interval_test_and_every_seed_together_show_a_direction_and_a_size() -> None:
    assert judge(BETTER, 0.0004, 5, POINTS) == (
        "pricon minus e2e is +0.024 [+0.010, +0.038] over 124 participants: the interval excludes "
        "zero and the test agrees, and so does each of the 3 seeds, so pricon is higher than e2e "
        "by 2.4 points (Wilcoxon over participants, Holm over 5 comparisons: p < 0.001)."
    )
    assert judge(WORSE, 0.049, 1, POINTS) == (
        "pricon minus e2e is -0.020 [-0.030, -0.010] over 124 participants: the interval excludes "
        "zero and the test agrees, and so does each of the 3 seeds, so pricon is lower than e2e "
        "by 2.0 points (Wilcoxon over participants, Holm over 1 comparison: p = 0.049)."
    )


def test_seeds_that_disagree_leave_training_noise_as_an_explanation() -> None:
    # As once seen on real recordings; over fold x seed pairs p was .600.
    seen = replace(
        UNCLEAR,
        difference=Estimate(value=0.0027, low=0.0006, high=0.0048),
        by_seed=(0.0046, 0.0078, 0.0037, -0.0016, -0.0010),
    )
    assert judge(seen, 0.022, 5, POINTS) == (
        "pricon minus e2e is +0.003 [+0.001, +0.005] over 124 participants: the interval excludes "
        "zero and the test agrees, so pricon is higher than e2e for the models trained here, by "
        "0.3 points, but its sign changes with the seed (higher in 3 of 5 seeds), so training "
        "noise may explain it (Wilcoxon over participants, Holm over 5 comparisons: p = 0.022)."
    )
    worse = replace(WORSE, by_seed=(-0.04, -0.03, 0.01))
    assert (
        "so pricon is lower than e2e for the models trained here, by 2.0 points, but its sign "
        "changes with the seed (lower in 2 of 3 seeds), so training noise may explain it"
    ) in judge(worse, 0.001, 5, POINTS)


def test_a_seed_without_a_difference_does_not_agree() -> None:
    for third in (0.0, nan):
        seen = replace(BETTER, by_seed=(0.04, 0.03, third))
        assert "(higher in 2 of 3 seeds)" in judge(seen, 0.001, 5, POINTS)


def test_a_single_seed_knows_nothing_of_training_noise() -> None:
    assert judge(replace(BETTER, by_seed=(0.0242,)), 0.001, 5, POINTS).endswith(
        "so pricon is higher than e2e for the models trained here, by 2.4 points, but with a "
        "single seed training noise may explain it "
        "(Wilcoxon over participants, Holm over 5 comparisons: p = 0.001)."
    )


def test_an_interval_alone_establishes_nothing() -> None:
    assert judge(WORSE, 0.05, 5, POINTS).endswith(
        "the interval lies below zero, but the test does not confirm it, so a difference is not "
        "established (Wilcoxon over participants, Holm over 5 comparisons: p = 0.050)."
    )
    assert "the interval lies above zero, but the test does not" in judge(BETTER, nan, 5, POINTS)


def test_without_an_interval_the_data_show_nothing() -> None:
    one = replace(UNCLEAR, difference=Estimate(value=0.4), num_participants=1)
    assert judge(one, nan, 0, POINTS) == (
        "pricon minus e2e is +0.400 over 1 participants: "
        "too few for an interval, so these data show nothing."
    )


def test_one_available_set_is_judged_by_the_p_values_of_its_table() -> None:
    report = summarise(*make_run(LARGE))
    compared = comparisons(report.blocks[0])
    sentence = next(s for s in report.verdict if "pricon minus e2e" in s)
    p_holm = next(c.p_holm for c in compared if (c.arm, c.reference) == ("pricon", "e2e"))
    assert f"Holm over 6 comparisons: p = {p_holm:.3f}" in sentence


def test_p_values_are_adjusted_over_every_available_set_judged() -> None:
    # Six participants, all of one sign: p = 1/32 for each comparison, 3/32 by Holm over three.
    arms: dict[Arm, Wrong] = {"e2e": always(2), "pricon": always(1)}
    for available, over in (
        (("a",), "1 comparison: p = 0.031"),
        (("a", "b", "c"), "3 comparisons: p = 0.094"),
    ):
        report = summarise(*make_run(Grid(arms=arms, available=available)))
        found = [s for s in report.verdict if "pricon minus e2e" in s]
        assert len(found) == len(available)
        assert all(f"Holm over {over})" in sentence for sentence in found)
        assert all("the test agrees" in s for s in found) == (len(available) == 1)
        assert all(row.p_holm < 0.05 for block in report.blocks for row in comparisons(block))


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


def test_comparable_is_what_the_equivalence_test_shows() -> None:
    assert judge_equivalence(UNCLEAR, 0.012, 0.03) == (
        "pricon minus e2e is +0.012 [-0.004, +0.028] over 124 participants: they are comparable, "
        "the difference is shown to be below 0.03 (TOST over participants: p = 0.012)."
    )
    assert judge_equivalence(UNCLEAR, 0.012, 0.02).endswith(
        ": the test finds less than 0.02, but the interval reaches beyond it, so that they are "
        "comparable is not shown (TOST over participants: p = 0.012)."
    )
    assert judge_equivalence(UNCLEAR, 0.05, 0.03).endswith(
        ": the interval lies within 0.03, but the test does not confirm it, so that they are "
        "comparable is not shown (TOST over participants: p = 0.050)."
    )
    assert judge_equivalence(UNCLEAR, 0.05, 0.02).endswith(
        ": that they are comparable within 0.02 is not shown (TOST over participants: p = 0.050)."
    )
    one = replace(UNCLEAR, difference=Estimate(value=0.4), num_participants=1)
    assert judge_equivalence(one, nan, 0.02).endswith("so these data show nothing.")


def test_the_three_hypotheses_are_named() -> None:
    verdict = summarise(*make_run(LARGE)).verdict
    starts = [sentence.partition(" is ")[0] for sentence in verdict[:4]]
    assert starts == [
        "With audio available, lupi minus e2e",
        "H2: with audio available, pricon minus e2e",
        "H1: with audio available, pricon minus lupi",
        "H3: with audio available, pricon minus all_modalities",
    ]
    assert "comparable within 0.02 is not shown" in verdict[3]


def test_equivalence_is_adjusted_over_every_available_set_judged() -> None:
    def nearly(p: int, s: int) -> int:
        return 2 + (p == 0 and s == 0)

    arms: dict[Arm, Wrong] = {"e2e": always(4), "pricon": nearly, "all_modalities": always(2)}
    alone, three = (
        next(s for s in summarise(*make_run(Grid(arms=arms, available=sets))).verdict if "H3" in s)
        for sets in (("a",), ("a", "b", "c"))
    )
    assert "comparable, the difference is shown to be below 0.02" not in three
    assert alone.rpartition("p ")[2] < three.rpartition("p ")[2]


def test_arms_that_no_claim_is_about_are_told_so() -> None:
    arms: dict[Arm, Wrong] = {"e2e": always(3), "lupi_privileged": always(2)}
    assert summarise(*make_run(Grid(arms=arms))).verdict == (NOT_JUDGED,)


def test_arms_that_tables_share_are_compared_once() -> None:
    """Whatever is available, time and all modalities are the same: one comparison, not two."""
    arms: dict[Arm, Wrong] = {
        "time_only": always(4), "e2e": always(3), "all_modalities": always(1),
    }  # fmt: skip
    verdict = summarise(*make_run(Grid(arms=arms, available=("a", "b")))).verdict
    told = [sentence for sentence in verdict if "all_modalities minus time_only" in sentence]
    assert len(told) == 1
    assert "Holm over 5 comparisons" in told[0]  # two arms minus e2e in each table, and this one


def test_a_test_that_points_the_other_way_does_not_agree() -> None:
    assert judge(replace(BETTER, rank_biserial=-0.4), 0.001, 5, POINTS).endswith(
        ": the interval lies above zero, but the test points the other way, so a difference is not "
        "established (Wilcoxon over participants, Holm over 5 comparisons: p = 0.001)."
    )
    assert judge(UNCLEAR, 0.001, 5, POINTS).endswith(
        ": the interval includes zero, although the test points above zero, so a difference is not "
        "established (Wilcoxon over participants, Holm over 5 comparisons: p = 0.001)."
    )


def test_folds_of_unequal_size_cannot_make_test_and_interval_say_two_things() -> None:
    """4 people of fold 0 gain a lot, 40 of fold 1 lose a little: a gain, fold by fold alone."""
    arms: dict[Arm, Wrong] = {
        "e2e": always(5),
        "pricon": lambda p, s: 2 if p < 40 else 6,
        "all_modalities": lambda p, s: 5 if p < 40 else 6,
    }
    plan, results = make_run(Grid(arms=arms, num_folds=2, per_fold=40))
    few = [replace(r, predictions=only(r, "p04")) if r.cell.fold == 0 else r for r in results]
    report = summarise(plan, few, StatisticsSpec(equivalence_margin=0.06))
    h2 = next(s for s in report.verdict if s.startswith("H2"))
    h3 = next(s for s in report.verdict if s.startswith("H3"))
    compared = next(c for c in comparisons(report.blocks[0]) if c.reference == "e2e")
    assert compared.difference.value == pytest.approx(0.1)
    assert compared.rank_biserial < 0
    assert "the interval lies above zero, but the test points the other way" in h2
    assert "the test finds less than 0.06, but the interval reaches beyond it" in h3


def only(result: TrialResult, before: str) -> Predictions:
    """Windows of the participants whose names come before this one."""
    seen = result.predictions
    assert isinstance(seen, Predictions)
    rows = seen.participant < before
    return Predictions(**{f.name: getattr(seen, f.name)[rows] for f in fields(seen)})


def test_levels_and_traces_are_not_judged_at_once() -> None:
    """e2e knows the level of each of 30 people and nothing else, pricon its trace and no level.

    Over the windows of a fold e2e is better, within every participant pricon is: sentences, tests
    and intervals all speak of the latter.
    """
    arms: dict[Arm, Wrong] = {"e2e": always(0), "pricon": always(0), "all_modalities": always(0)}
    plan, results = make_value_run(Grid(arms=arms, num_folds=5, per_fold=6, num_windows=40))
    report = summarise(
        plan, [told_apart(r) for r in results], StatisticsSpec(equivalence_margin=0.04)
    )
    e2e, pricon, _ = report.blocks[0].arms
    assert e2e.metrics["ccc_pooled"].value > pricon.metrics["ccc_pooled"].value + 0.3
    for compared in comparisons(report.blocks[0]):
        assert compared.num_participants == 30
        assert compared.difference.value * compared.rank_biserial > 0
        assert all(d * compared.difference.value > 0 for d in compared.by_seed)
    h2, h3 = (next(s for s in report.verdict if s.startswith(h)) for h in ("H2", "H3"))
    assert "the interval excludes zero and the test agrees" in h2
    assert "so pricon is higher than e2e by 0." in h2
    assert "comparable within 0.04 is not shown" in h3


def told_apart(result: TrialResult) -> TrialResult:
    """Levels of people 1 apart or more, traces within 0.3; what each arm knows of them."""
    seen = result.predictions
    assert isinstance(seen, ValuePredictions)
    index = np.array([int(name[1:]) for name in seen.participant])
    level, trace = index % 6 - 2.5, 0.3 * np.sin(seen.t_start_s + index)
    noise = np.random.default_rng([result.cell.fold, result.cell.seed]).standard_normal(index.size)
    known = {
        "e2e": level + 0.01 * noise,
        "pricon": trace + 0.05 * noise + 0.1 * level,
        "all_modalities": level + trace,
    }
    label, said = ((level + trace).astype(np.float32), known[result.trial.arm].astype(np.float32))
    return replace(result, predictions=replace(seen, label=label, prediction=said))
