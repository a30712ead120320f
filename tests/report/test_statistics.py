"""What is compared with what, and when a report refuses."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pricon.errors import PlanError
from pricon.report.statistics import summarise
from pricon.report.summary import MACRO_AVERAGE, Block
from pricon.spec.job import Arm
from tests.report.grids import Grid, Wrong, always, fail, make_run

ARMS: dict[Arm, Wrong] = {
    "majority": always(5),
    "e2e": lambda p, s: 4 if p % 2 else 3,
    "lupi": always(3),
    "pricon": always(2),
    "all_modalities": always(1),
}
LARGE = Grid(arms=ARMS, per_fold=4)


def only_block(grid: Grid) -> Block:
    (block,) = summarise(*make_run(grid)).blocks
    return block


def test_accuracies_and_differences_by_hand() -> None:
    block = only_block(LARGE)
    assert [row.arm for row in block.arms] == list(ARMS)
    assert [row.metrics["accuracy"].value for row in block.arms] == pytest.approx(
        [0.5, 0.65, 0.7, 0.8, 0.9]
    )
    differences = [row.minus_e2e.difference.value for row in block.arms if row.minus_e2e]
    assert differences == pytest.approx([-0.15, 0.05, 0.15, 0.25])
    minus_lupi, minus_all = block.others
    assert (minus_lupi.arm, minus_lupi.reference) == ("pricon", "lupi")
    assert minus_lupi.difference.value == pytest.approx(0.1)
    assert (minus_all.arm, minus_all.reference) == ("pricon", "all_modalities")
    assert minus_all.difference.value == pytest.approx(-0.1)


def test_a_constant_difference_has_an_interval_without_width() -> None:
    """The arms share their draws; independent draws would give the difference a width."""
    grid = Grid(arms={"e2e": lambda p, s: p % 5 + 1, "pricon": lambda p, s: p % 5})
    row = only_block(grid).arm("pricon")
    assert row is not None
    assert row.minus_e2e is not None
    difference = row.minus_e2e.difference
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))
    assert row.metrics["accuracy"].low < row.metrics["accuracy"].high


def test_holm_runs_over_all_comparisons_of_the_table() -> None:
    # Eight participants, all differences of one sign and tied: the smallest p there is.
    block = only_block(LARGE)
    compared = [*(row.minus_e2e for row in block.arms if row.minus_e2e), *block.others]
    smallest = min(c.p_value for c in compared)
    assert min(c.p_holm for c in compared) == pytest.approx(6 * smallest)
    assert all(c.num_participants == 8 for c in compared)


def test_the_difference_of_each_seed_by_hand() -> None:
    # Two windows of ten better with seed 0, one worse with seed 1, the same with seed 2.
    e2e = {0: 4, 1: 2, 2: 3}
    arms: dict[Arm, Wrong] = {"e2e": lambda p, s: e2e[s], "pricon": lambda p, s: e2e[s] - gain[s]}
    gain = {0: 2, 1: -1, 2: 0}
    row = only_block(Grid(arms=arms, seeds=(0, 1, 2))).arm("pricon")
    assert row is not None
    assert row.minus_e2e is not None
    assert row.minus_e2e.by_seed == (0.2, -0.1, 0.0)
    assert [row.minus_e2e.num_seeds(sign) for sign in (1, -1, 0)] == [1, 1, 1]
    assert row.minus_e2e.difference.value == pytest.approx(sum(row.minus_e2e.by_seed) / 3)


def test_a_seed_that_never_finished_has_no_difference() -> None:
    plan, results = make_run(Grid(arms={"e2e": always(2), "pricon": always(1)}))
    results = [fail(r) if r.cell.seed == 1 else r for r in results]
    row = summarise(plan, results).blocks[0].arm("pricon")
    assert row is not None
    assert row.minus_e2e is not None
    assert row.minus_e2e.by_seed == pytest.approx((0.1, float("nan")), nan_ok=True)
    assert [row.minus_e2e.num_seeds(sign) for sign in (1, -1, 0)] == [1, 0, 0]


def test_accuracy_of_each_participant_by_hand() -> None:
    # Seed 0: participant i has i wrong of ten; seed 1: two more. Fold 1 finished nowhere.
    arms: dict[Arm, Wrong] = {"e2e": lambda p, s: p + 2 * s}
    plan, results = make_run(Grid(arms=arms))
    row = summarise(plan, [r for r in results if r.cell.fold == 0]).blocks[0].arm("e2e")
    assert row is not None
    assert row.by_participant == pytest.approx({"p00": 0.9, "p01": 0.8, "p02": 0.7})
    assert list(row.by_participant) == ["p00", "p01", "p02"]


def test_gap_closed_by_hand() -> None:
    block = only_block(LARGE)
    closed = {row.arm: row.gap_closed for row in block.arms}
    assert closed["pricon"] is not None
    assert closed["pricon"].share.value == pytest.approx(0.15 / 0.25)
    assert closed["pricon"].num_without_gap == 0
    assert closed["pricon"].share.has_interval
    assert closed["lupi"] is not None
    assert closed["lupi"].share.value == pytest.approx(0.05 / 0.25)
    assert [closed[arm] for arm in ("majority", "e2e", "all_modalities")] == [None] * 3


def test_without_a_positive_gap_there_is_no_share() -> None:
    block = only_block(Grid(arms={**ARMS, "all_modalities": always(6)}))
    assert all(row.gap_closed is None for row in block.arms)


@pytest.mark.parametrize(("carriers", "is_established"), [(1, False), (4, True)])
def test_a_gap_that_resamples_lack_is_none(carriers: int, is_established: bool) -> None:
    """Six participants; where one carries the whole gap, a third of the resamples miss them."""
    arms: dict[Arm, Wrong] = {
        **ARMS,
        "e2e": always(3),
        "all_modalities": lambda p, s: 0 if p < carriers else 3,
    }
    row = only_block(Grid(arms=arms)).arm("pricon")
    assert row is not None
    assert (row.gap_closed is not None) == is_established
    if row.gap_closed is not None:
        expected = (2 / 6) ** 6
        found = row.gap_closed.num_without_gap / row.gap_closed.num_resamples
        assert found == pytest.approx(expected, abs=0.004)
        assert row.gap_closed.share.has_interval


def test_each_available_set_has_a_table_with_the_shared_arms() -> None:
    report = summarise(*make_run(Grid(arms=ARMS, available=("audio", "telemetry"))))
    assert [block.available for block in report.blocks] == ["audio", "telemetry"]
    rows = [(row.arm, row.modality) for row in report.blocks[1].arms]
    assert rows == [
        ("majority", ""),
        ("e2e", "telemetry"),
        ("lupi", "telemetry"),
        ("pricon", "telemetry"),
        ("all_modalities", "audio+telemetry"),
    ]


def test_several_stimuli_begin_with_their_macro_average() -> None:
    report = summarise(*make_run(Grid(arms=ARMS, stimuli=("heist", "solid"))))
    assert [block.stimulus for block in report.blocks] == [MACRO_AVERAGE, "heist", "solid"]
    macro = report.blocks[0]
    assert [row.num_planned for row in macro.arms] == [8] * 5
    row = macro.arm("pricon")
    assert row is not None
    assert row.metrics["accuracy"].value == pytest.approx(0.8)
    assert all("averaged over stimuli" in s for s in report.verdict[:-1])
    assert len([s for s in report.verdict if "pricon minus e2e" in s]) == 1


def test_an_unfinished_trial_makes_the_report_incomplete() -> None:
    plan, results = make_run(LARGE)
    results[2] = fail(results[2])  # lupi in the first cell
    report = summarise(plan, results[:-1])
    assert not report.complete
    assert [r.status for r in report.unfinished] == ["failed", "missing"]
    assert report.verdict == ()
    (block,) = report.blocks
    assert all(row.gap_closed is None for row in block.arms)
    compared = {row.arm: row.minus_e2e is not None for row in block.arms}
    # Arms are only subtracted where both finished the same cells.
    assert compared == {
        "majority": True,
        "e2e": False,
        "lupi": False,
        "pricon": True,
        "all_modalities": False,
    }
    assert block.others == ()


def test_some_folds_are_not_the_whole_job() -> None:
    report = summarise(*make_run(Grid(arms=ARMS, asked=(1,))))
    assert report.folds_asked == (1,)
    assert not report.complete
    assert report.verdict == ()


def test_nothing_finished_still_makes_a_report() -> None:
    plan, _ = make_run(LARGE)
    report = summarise(plan, [])
    assert len(report.unfinished) == len(plan.trials)
    assert np.isnan(report.blocks[0].arms[0].metrics["accuracy"].value)


def test_a_result_of_another_run_is_refused() -> None:
    plan, _ = make_run(Grid(arms={"e2e": always(1)}))
    _, results = make_run(Grid(arms={"pricon": always(1)}))
    with pytest.raises(PlanError, match="4 results are not of run run0, such as trial pricon-"):
        summarise(plan, results)


def test_arms_evaluated_on_different_windows_are_refused() -> None:
    plan, results = make_run(Grid(arms=ARMS))
    assert results[0].predictions is not None
    results[0].predictions.window[0] = 999_999
    with pytest.raises(
        PlanError, match="were evaluated on different windows of heist arousal fold 0 seed 0"
    ):
        summarise(plan, results)


def test_a_large_run_is_summarised_in_seconds() -> None:
    grid = Grid(arms=ARMS, stimuli=("a", "b", "c"), num_folds=5, per_fold=24, seeds=(0, 1, 2))
    plan, results = make_run(grid)
    start = time.process_time()
    summarise(plan, results)
    assert time.process_time() - start < 10


def test_affects_have_tables_averages_and_sentences_of_their_own() -> None:
    grid = Grid(arms=ARMS, affects=("arousal", "valence"), stimuli=("heist", "solid"))
    report = summarise(*make_run(grid))
    assert [(block.affect, block.stimulus) for block in report.blocks] == [
        (affect, stimulus)
        for affect in ("arousal", "valence")
        for stimulus in (MACRO_AVERAGE, "heist", "solid")
    ]
    assert [(fold.affect, fold.fold) for fold in report.folds[:4]] == [
        ("arousal", 0),
        ("arousal", 1),
        ("valence", 0),
        ("valence", 1),
    ]
    for affect in ("arousal", "valence"):
        found = [s for s in report.verdict if f"for {affect}, averaged over stimuli" in s]
        assert len(found) == 4
    assert "Holm over 12 comparisons" in report.verdict[0]


def test_how_good_an_arms_teachers_were() -> None:
    """Mean over folds, then seeds; nothing for arms without a teacher."""
    plan, results = make_run(Grid(arms=ARMS, stimuli=("heist", "solid")))
    taught = [
        replace(r, teacher_score=0.6 + 0.1 * r.cell.fold + 0.02 * r.cell.seed)
        if r.trial.arm == "pricon"
        else r
        for r in results
    ]
    for block in summarise(plan, taught).blocks:
        for row in block.arms:
            if row.arm == "pricon":
                assert row.teacher_score == pytest.approx(0.66)
            else:
                assert np.isnan(row.teacher_score)
