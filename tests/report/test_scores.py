"""The vectorised bootstrap against a slow loop, and the rule of the mean by hand."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from pricon.report.metrics import measure, predicted_class
from pricon.report.results import Predictions, TrialResult, ValuePredictions
from pricon.report.scores import average, make_grid, score
from pricon.report.statistics import summarise
from pricon.report.yardstick import YARDSTICKS
from tests.report.grids import Grid, always, fail, make_run, make_value_run

CLASSES = YARDSTICKS["classification"]
VALUES = YARDSTICKS["regression"]


def uneven(participant: int, seed: int) -> int:
    return (3 * participant + 2 * seed) % 7


def slow_score(results: list[TrialResult], drawn: list[str]) -> list[float]:
    """Metrics of one resample, with windows copied out as often as their person was drawn."""
    over_seeds = []
    for seed in sorted({r.cell.seed for r in results}):
        over_folds = []
        for result in (r for r in results if r.cell.seed == seed):
            seen = result.predictions
            assert isinstance(seen, Predictions)
            rows = [i for p in drawn for i in np.flatnonzero(seen.participant == p)]
            if rows:
                label, predicted = seen.label[rows], predicted_class(seen)[rows]
                over_folds.append(
                    (
                        accuracy_score(label, predicted),
                        balanced_accuracy_score(label, predicted),
                        f1_score(label, predicted, average="macro"),
                        roc_auc_score(label, seen.probability_high[rows]),
                    )
                )
        over_seeds.append(np.mean(over_folds, axis=0))
    means: list[float] = np.mean(over_seeds, axis=0).tolist()
    return means


def test_bootstrap_equals_a_slow_loop() -> None:
    _, results = make_run(Grid(arms={"e2e": uneven}, num_folds=3, per_fold=2))
    grid = make_grid(results, num_resamples=40)
    draws = score(results, grid, CLASSES).draws
    for i, weights in enumerate(grid.weights.astype(int)):
        drawn = [
            p for p, n in zip(grid.participants.tolist(), weights, strict=True) for _ in range(n)
        ]
        expected = slow_score(results, drawn)
        got = [draws[name][i] for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc")]
        assert got == pytest.approx(expected), f"resample {i}"


def test_first_row_is_the_sample_and_every_resample_draws_as_many_people() -> None:
    _, results = make_run(Grid(arms={"e2e": always(1)}))
    weights = make_grid(results, 2000).weights
    assert weights.shape == (2001, 6)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 6).all()
    assert np.array_equal(weights, make_grid(results[::-1], 2000).weights)


def test_folds_count_the_same_whatever_their_size() -> None:
    # Fold 0: one participant, all right. Fold 1: the same people as usual, all wrong.
    _, results = make_run(Grid(arms={"e2e": lambda p, s: 0 if p < 3 else 10}, seeds=(0,)))
    scores = score(results, make_grid(results, 1), CLASSES)
    assert scores.draws["accuracy"][0] == 0.5
    assert scores.by_fold.tolist() == [[1.0, 0.0]]
    assert scores.by_participant.tolist() == [1, 1, 1, 0, 0, 0]


def test_participants_average_over_seeds() -> None:
    _, results = make_run(Grid(arms={"e2e": lambda p, s: 4 * s}, seeds=(0, 1)))
    scores = score(results, make_grid(results, 1), CLASSES)
    assert scores.by_participant == pytest.approx(np.full(6, 0.8))  # mean of 1.0 and 0.6


def test_a_missing_trial_leaves_holes_and_not_zeros() -> None:
    _, results = make_run(Grid(arms={"e2e": always(2)}, seeds=(0,)))
    results[1] = fail(results[1])
    scores = score(results, make_grid(results, 5), CLASSES)
    assert scores.draws["accuracy"][0] == pytest.approx(0.8)
    assert np.isnan(scores.by_fold[0, 1])
    assert scores.num_planned == 2
    assert scores.cells == {("heist", "arousal", 0, 0)}


def test_resamples_of_one_class_have_no_auroc() -> None:
    """Person 0 of the fold has high windows only, the others low ones only."""
    _, (result,) = make_run(Grid(arms={"e2e": uneven}, seeds=(0,), num_folds=1))
    seen = result.predictions
    assert isinstance(seen, Predictions)
    label = (seen.participant == "p00").astype(np.int8)
    spoiled = replace(result, predictions=replace(seen, label=label))
    grid = make_grid([spoiled], 50)
    auroc = score([spoiled], grid, CLASSES).draws["auroc"]
    has_both = (grid.weights[:, 0] > 0) & (grid.weights[:, 1:].sum(axis=1) > 0)
    assert has_both.any()
    assert not has_both.all()
    assert np.array_equal(~np.isnan(auroc), has_both)


def test_stimuli_count_the_same_in_their_average() -> None:
    _, results = make_run(Grid(arms={"e2e": always(2)}, stimuli=("heist", "solid")))
    grid = make_grid(results, 5)
    heist = score([r for r in results if r.cell.stimulus == "heist"], grid, CLASSES)
    _, worse = make_run(Grid(arms={"e2e": always(4)}, stimuli=("solid",)))
    both = average([heist, score(worse, grid, CLASSES)])
    assert both.draws["accuracy"] == pytest.approx(np.full(6, 0.7))
    assert both.num_planned == 8
    assert {stimulus for stimulus, *_ in both.cells} == {"heist", "solid"}


def test_bootstrap_of_values_equals_a_slow_loop() -> None:
    """Windows copied out as often as their person was drawn, metrics of the windows, then means."""
    _, results = make_value_run(Grid(arms={"e2e": uneven}, num_folds=3, per_fold=2))
    grid = make_grid(results, num_resamples=40)
    scores = score(results, grid, VALUES)
    assert [*scores.draws] == ["ccc", "rmse", "pearson"]
    for i, weights in enumerate(grid.weights.astype(int)):
        drawn = np.repeat(grid.participants, weights)
        over_seeds = []
        for seed in plan_seeds(results):
            over_folds = []
            for result in (r for r in results if r.cell.seed == seed):
                seen = result.predictions
                assert isinstance(seen, ValuePredictions)
                rows = [j for who in drawn for j in np.flatnonzero(seen.participant == who)]
                if rows:
                    metrics = measure(
                        replace(seen, target=seen.target[rows], prediction=seen.prediction[rows])
                    )
                    over_folds.append((metrics.ccc, metrics.rmse, metrics.pearson))
            over_seeds.append(np.mean(over_folds, axis=0))
        got = [draws[i] for draws in scores.draws.values()]
        assert got == pytest.approx(np.mean(over_seeds, axis=0).tolist(), abs=1e-9), i


def plan_seeds(results: list[TrialResult]) -> list[int]:
    return sorted({result.cell.seed for result in results})


def test_participants_have_a_ccc_of_their_own_windows() -> None:
    _, results = make_value_run(Grid(arms={"e2e": uneven}, num_folds=2, per_fold=2))
    scores = score(results, make_grid(results, 3), VALUES)
    expected: dict[str, list[float]] = {}
    for result in results:
        seen = result.predictions
        assert isinstance(seen, ValuePredictions)
        for who in np.unique(seen.participant).tolist():
            own = seen.participant == who
            parts = replace(seen, target=seen.target[own], prediction=seen.prediction[own])
            expected.setdefault(who, []).append(measure(parts).ccc)
    means = [float(np.mean(expected[who])) for who in sorted(expected)]
    assert scores.by_participant == pytest.approx(means, abs=1e-9)
    assert scores.by_fold.shape == (2, 2)


def test_a_participant_whose_trace_is_constant_is_in_no_test_and_in_the_table() -> None:
    """By itself such a trace defines no CCC; beside others its windows count."""
    plan, results = make_value_run(
        Grid(arms={"e2e": uneven, "pricon": always(1)}, num_folds=2, per_fold=4)
    )
    still = []
    for result in results:
        seen = result.predictions
        assert isinstance(seen, ValuePredictions)
        target = np.where(seen.participant == "p01", np.float32(0.25), seen.target)
        still.append(replace(result, predictions=replace(seen, target=target)))
    block = summarise(plan, still).blocks[0]
    assert block.num_participants == 8
    for row in block.arms:
        assert "p01" not in row.by_participant
        assert len(row.by_participant) == 7
    (compared,) = [row.minus_e2e for row in block.arms if row.minus_e2e is not None]
    assert compared.num_participants == 7
    assert not np.isnan([compared.p_value, compared.p_equivalent, compared.difference.low]).any()
    before = summarise(plan, results).blocks[0].arms[0].primary
    assert block.arms[0].primary.value != pytest.approx(before.value, abs=1e-4)
