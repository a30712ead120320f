"""Metrics of weighted sums against metrics of windows, and where they are not defined."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pricon.report.metrics import count_outcomes, measure
from pricon.report.results import ValuePredictions
from pricon.report.weighted import (
    MOMENTS,
    OF_MOMENTS,
    accuracy,
    auroc,
    balanced_accuracy,
    ccc,
    macro_f1,
    mean_of_drawn,
    pearson,
    rmse,
    sum_moments,
)
from tests.report.test_metrics import make, make_values


def noisy(num: int, people: int) -> ValuePredictions:
    rng = np.random.default_rng(4)
    target = rng.standard_normal(num) * 0.2 + 0.4
    names = [f"p{i}" for i in rng.integers(people, size=num)]
    return make_values(target, 0.6 * target + 0.1 * rng.standard_normal(num), names)


def sums(predictions: ValuePredictions) -> NDArray[np.float64]:
    return sum_moments(predictions, np.unique(predictions.participant))


def test_moments_by_hand() -> None:
    seen = make_values([1, 2, 3], [0, 1, -1], ["a", "c", "a"])
    found = sum_moments(seen, np.array(["a", "b", "c"]))
    assert found.shape == (3, len(MOMENTS))
    assert found.tolist() == [[2, 4, -1, 10, 1, -3], [0] * 6, [1, 2, 1, 4, 1, 2]]


def test_metrics_of_sums_are_those_of_the_windows() -> None:
    seen = noisy(500, 7)
    whole, direct = sums(seen).sum(axis=0), measure(seen)
    assert ccc(whole) == pytest.approx(direct.ccc_pooled, abs=1e-12)
    assert mean_of_drawn(ccc(sums(seen)), np.ones((1, 7))) == pytest.approx(direct.ccc, abs=1e-12)
    assert rmse(whole) == pytest.approx(direct.rmse, abs=1e-12)
    assert pearson(whole) == pytest.approx(direct.pearson, abs=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.3, 12345.67])
def test_a_trace_that_does_not_move_has_no_ccc_whatever_is_predicted(level: float) -> None:
    flat = make_values(np.full(1000, level), np.linspace(0, 1, 1000) + level)
    assert np.isnan(ccc(sums(flat)[0]))
    assert np.isnan(pearson(sums(flat)[0]))
    assert np.isnan(measure(flat).ccc)
    assert np.isnan(measure(flat).pearson)
    assert rmse(sums(flat)[0]) == pytest.approx(measure(flat).rmse, rel=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.3, -1.7])
def test_a_constant_prediction_has_a_ccc_of_nothing_and_no_correlation(level: float) -> None:
    flat = make_values(np.linspace(0, 1, 1000), np.full(1000, level))
    assert ccc(sums(flat)[0]) == pytest.approx(0, abs=1e-12)
    assert measure(flat).ccc == pytest.approx(0, abs=1e-12)
    assert np.isnan(pearson(sums(flat)[0]))
    assert np.isnan(measure(flat).pearson)


def test_nobody_has_no_metric() -> None:
    nothing = np.zeros((2, len(MOMENTS)))
    for name, of in OF_MOMENTS.items():
        assert np.isnan(of(nothing)).all(), name
    assert np.isnan(measure(make_values([], [])).ccc)
    assert np.isnan(measure(make_values([], [])).ccc_pooled)
    assert np.isnan(mean_of_drawn(np.array([]), np.ones((2, 0)))).all()
    assert measure(make_values([], [])).num_windows == 0


def test_a_person_drawn_twice_counts_as_two() -> None:
    seen = noisy(60, 3)
    by_person = sums(seen)
    rows = np.flatnonzero(seen.participant == "p1")
    again = np.concatenate([np.arange(60), rows])
    doubled = replace(
        seen,
        participant=seen.participant[again],
        label=seen.label[again],
        prediction=seen.prediction[again],
    )
    weights = np.array([1.0, 2.0, 1.0])
    for name, of in OF_MOMENTS.items():
        expected = getattr(measure(doubled), name)
        assert of(weights @ by_person) == pytest.approx(expected, abs=1e-9), name


def test_auroc_of_resamples_is_scikit_learns_of_weighted_windows() -> None:
    rng = np.random.default_rng(6)
    names = [f"p{i}" for i in range(5)]
    people, label = rng.choice(names, 300), rng.integers(0, 2, 300)
    seen = make(label.tolist(), np.round(rng.random(300), 1).tolist(), people.tolist())
    participants, weights = np.array(names), rng.integers(0, 3, (20, 5)).astype(np.float64)
    counts = count_outcomes(seen, participants).astype(np.float64)
    expected = [
        roc_auc_score(
            label, seen.probability_high, sample_weight=drawn[np.searchsorted(names, people)]
        )
        for drawn in weights
    ]
    assert auroc(seen, counts, participants, weights) == pytest.approx(expected, abs=1e-12)


def test_class_metrics_by_hand() -> None:
    """True low 3, false high 1, false low 2, true high 2."""
    counts = np.array([3.0, 1.0, 2.0, 2.0])
    assert accuracy(counts) == pytest.approx(5 / 8)
    assert balanced_accuracy(counts) == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert macro_f1(counts) == pytest.approx((6 / 9 + 4 / 7) / 2)
    assert np.isnan(accuracy(np.zeros(4)))
