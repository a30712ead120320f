"""The vectorised bootstrap against a slow loop, and the rule of the mean by hand."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from pricon.report.estimate import Estimate
from pricon.report.metrics import predicted_class
from pricon.report.results import Predictions, TrialResult, ValuePredictions
from pricon.report.scores import average, make_grid, score
from pricon.report.statistics import summarise
from pricon.report.weighted import ccc, mean_of_drawn, mean_present
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
    """CCC of one person after the other, as often as they were drawn; the rest of their copies."""
    _, results = make_value_run(Grid(arms={"e2e": uneven}, num_folds=3, per_fold=2))
    grid = make_grid(results, num_resamples=40)
    scores = score(results, grid, VALUES)
    assert [*scores.draws] == ["ccc", "ccc_pooled", "rmse", "pearson"]
    for i, weights in enumerate(grid.weights.astype(int)):
        drawn = np.repeat(grid.participants, weights)
        over_seeds = []
        for seed in plan_seeds(results):
            over_folds = []
            for result in (r for r in results if r.cell.seed == seed):
                seen = result.predictions
                assert isinstance(seen, ValuePredictions)
                whose = [np.flatnonzero(seen.participant == who) for who in drawn]
                rows = np.concatenate(whose)
                if rows.size:
                    own = [lin(seen.label[of], seen.prediction[of]) for of in whose if of.size]
                    label, said = seen.label[rows], seen.prediction[rows]
                    error = np.sqrt(np.mean((label.astype(float) - said) ** 2))
                    pearson = np.corrcoef(label, said)[0, 1]
                    over_folds.append(np.array([np.mean(own), lin(label, said), error, pearson]))
            over_seeds.append(np.mean(over_folds, axis=0))
        got = [draws[i] for draws in scores.draws.values()]
        assert got == pytest.approx(np.mean(over_seeds, axis=0).tolist(), abs=1e-9), i


def lin(label: NDArray[np.float32], said: NDArray[np.float32]) -> float:
    """CCC as 1 - mean squared error over what it would be without correlation, in float64."""
    y, p = label.astype(float), said.astype(float)
    return float(1 - np.mean((y - p) ** 2) / (y.var() + p.var() + (y.mean() - p.mean()) ** 2))


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
            expected.setdefault(who, []).append(lin(seen.label[own], seen.prediction[own]))
    means = [float(np.mean(expected[who])) for who in sorted(expected)]
    assert scores.by_participant == pytest.approx(means, abs=1e-9)
    assert scores.by_fold.shape == (2, 2)
    assert scores.primary[0] == pytest.approx(np.mean(means), abs=1e-9), "folds of the same size"
    assert scores.by_fold.mean() == pytest.approx(scores.primary[0], abs=1e-12)


def test_a_participant_whose_trace_is_constant_has_no_ccc_and_counts_in_the_pooled_one() -> None:
    """By itself such a trace defines no CCC; beside others its windows count."""
    plan, results = make_value_run(
        Grid(arms={"e2e": uneven, "pricon": always(1)}, num_folds=2, per_fold=4)
    )
    still = []
    for result in results:
        seen = result.predictions
        assert isinstance(seen, ValuePredictions)
        label = np.where(seen.participant == "p01", np.float32(0.25), seen.label)
        still.append(replace(result, predictions=replace(seen, label=label)))
    block = summarise(plan, still).blocks[0]
    assert block.num_participants == 8
    for row in block.arms:
        assert "p01" not in row.by_participant
        assert len(row.by_participant) == 7
    (compared,) = [row.minus_e2e for row in block.arms if row.minus_e2e is not None]
    assert compared.num_participants == 7
    assert not np.isnan([compared.p_value, compared.p_equivalent, compared.difference.low]).any()
    before, after = summarise(plan, results).blocks[0].arms[0], block.arms[0]
    of_fold = [
        [before.by_participant[f"p{i:02}"] for i in some] for some in ((0, 2, 3), (4, 5, 6, 7))
    ]
    assert after.primary.value == pytest.approx(np.mean([np.mean(values) for values in of_fold]))
    pooled = [row.metrics["ccc_pooled"].value for row in (before, after)]
    assert pooled[0] != pytest.approx(pooled[1], abs=1e-4)


def own_ccc(rng: np.random.Generator, people: int, windows: int = 20) -> NDArray[np.float64]:
    """CCC of people drawn anew under one predictor, which foretells some of them better."""
    level, skill = 0.4 * rng.standard_normal((people, 1)), rng.uniform(0, 1, (people, 1))
    trace, noise = rng.standard_normal((2, people, windows))
    label, said = level + trace, 0.5 * level + skill * trace + 0.5 * noise
    moments = (np.ones_like(label), label, said, label**2, said**2, label * said)
    return ccc(np.stack([moment.sum(axis=1) for moment in moments], axis=-1))


def test_intervals_of_a_ccc_cover_what_other_people_would_show() -> None:
    """23 people in 5 folds; what is to be covered is the mean over everybody (50,000).

    Percentiles of 23 people cover a little less than 95 %, of a mean of normal numbers as well:
    0.928 in 3000 samples of either. The share of 2000 samples has a standard error of 0.006.
    """
    rng = np.random.default_rng(11)
    truth = own_ccc(rng, people=50_000).mean()
    num_samples, shares = 2000, np.full(23, 1 / 23)
    weights = np.ones((501, 23))
    fold = np.arange(23) % 5
    hits = 0
    for _ in range(num_samples):
        weights[1:] = rng.multinomial(23, shares, size=500)
        own = own_ccc(rng, people=23)
        folds = [mean_of_drawn(own[fold == f], weights[:, fold == f]) for f in range(5)]
        interval = Estimate.of(mean_present(np.stack(folds), axis=0))
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / num_samples <= 0.98, hits / num_samples


def test_many_folds_of_many_people_are_not_multiplied() -> None:
    """Whoever is not tested in a fold takes no room in it: leave-one-out would be a square."""
    people = 200
    grid = Grid(arms={"e2e": uneven}, num_folds=people, per_fold=1, seeds=(0,))
    _, results = make_run(grid)
    axes = make_grid(results, num_resamples=10)
    tracemalloc.start()
    scores = score(results, axes, CLASSES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scores.is_tested.sum() == people
    counts_of_everybody_in_every_fold = people * people * 4 * np.dtype(np.float64).itemsize
    assert peak < counts_of_everybody_in_every_fold / 2
