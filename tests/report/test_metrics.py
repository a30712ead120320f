"""Metrics against values worked out by hand."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from pricon.report.metrics import count_outcomes, count_ranked_pairs, measure, predicted_class
from pricon.report.results import Predictions, ValuePredictions


def make(label: list[int], probability_high: list[float], participant: list[str]) -> Predictions:
    n = len(label)
    return Predictions(
        window=np.arange(n),
        participant=np.array(participant, dtype=np.str_),
        session=np.array(participant, dtype=np.str_),
        t_start_s=np.arange(n, dtype=np.float64),
        label=np.array(label, dtype=np.int8),
        probability_high=np.array(probability_high, dtype=np.float32),
    )


def make_values(label: object, prediction: object, participant: object = None) -> ValuePredictions:
    told = np.asarray(label, dtype=np.float32)
    people = np.array(["p"] * told.size if participant is None else participant, dtype=np.str_)
    return ValuePredictions(
        window=np.arange(told.size),
        participant=people,
        session=people,
        t_start_s=np.arange(told.size).astype(np.float64),
        label=told,
        prediction=np.asarray(prediction, dtype=np.float32),
    )


def test_the_class_is_high_from_one_half_on() -> None:
    probability = [0.0, np.nextafter(np.float32(0.5), np.float32(0)), 0.5, 1.0]
    assert predicted_class(make([0] * 4, probability, ["a"] * 4)).tolist() == [0, 0, 1, 1]


def test_values_by_hand() -> None:
    # label      1    1    1    0    0    0
    # predicted  1    1    0    1    0    0   4 of 6 right
    metrics = measure(make([1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.3, 0.6, 0.2, 0.1], ["a"] * 6))
    assert metrics.num_windows == 6
    assert metrics.accuracy == pytest.approx(4 / 6)
    assert metrics.balanced_accuracy == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert metrics.macro_f1 == pytest.approx(2 / 3)  # tp 2, fp 1, fn 1 for either class
    assert metrics.auroc == pytest.approx(8 / 9)  # of 9 high-low pairs only (0.3, 0.6) is wrong


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.25, 0.499, 0.5, 0.75, 1.0])),
        min_size=1,
        max_size=40,
    )
)
def test_values_are_those_of_scikit_learn(windows: list[tuple[int, float]]) -> None:
    label, probability = map(list, zip(*windows, strict=True))
    predictions = make(label, probability, ["a"] * len(label))
    found, said = measure(predictions), predicted_class(predictions)
    assert found.accuracy == pytest.approx(accuracy_score(label, said))
    recall = recall_score(label, said, labels=sorted({*label}), average="macro")
    assert found.balanced_accuracy == pytest.approx(recall)
    assert found.macro_f1 == pytest.approx(f1_score(label, said, average="macro", zero_division=0))
    if len({*label}) == 2:
        assert found.auroc == pytest.approx(roc_auc_score(label, probability))
    else:
        assert isnan(found.auroc)


def test_unequal_classes_by_hand() -> None:
    # label      1  0  0  0  0 ; predicted all low
    metrics = measure(make([1, 0, 0, 0, 0], [0.4, 0.3, 0.2, 0.1, 0.4], ["a"] * 5))
    assert metrics.accuracy == pytest.approx(0.8)
    assert metrics.balanced_accuracy == pytest.approx(0.5)
    assert metrics.macro_f1 == pytest.approx((8 / 9 + 0) / 2)
    assert metrics.auroc == pytest.approx(3.5 / 4)  # the tie at 0.4 counts one half


def test_one_class_has_no_auroc_and_warns_nobody() -> None:
    metrics = measure(make([1, 1], [0.9, 0.1], ["a", "b"]))
    assert isnan(metrics.auroc)
    assert metrics.accuracy == metrics.balanced_accuracy == 0.5
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_no_window_defines_nothing() -> None:
    metrics = measure(make([], [], []))
    assert metrics.num_windows == 0
    assert isnan(metrics.accuracy)


def test_counts_of_each_participant() -> None:
    seen = make([1, 1, 0, 0, 1], [0.9, 0.1, 0.9, 0.1, 0.7], ["b", "b", "b", "d", "d"])
    counts = count_outcomes(seen, np.array(["a", "b", "c", "d"]))
    #                          low  false high  false low  high
    assert counts.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]


def test_ranked_pairs_by_hand() -> None:
    """High of a: 0.9 0.4; of b: 0.5. Low of a: 0.4; of c: 0.6 0.1."""
    probability = [0.9, 0.4, 0.5, 0.4, 0.6, 0.1]
    seen = make([1, 1, 1, 0, 0, 0], probability, ["a", "a", "b", "a", "c", "c"])
    pairs = count_ranked_pairs(seen, np.array(["a", "b", "c"]))
    assert pairs.tolist() == [[1.5, 0, 3], [1, 0, 1], [0, 0, 0]]
    assert pairs.sum() / 9 == pytest.approx(measure(seen).auroc)


def test_ranked_pairs_are_those_of_all_windows_compared() -> None:
    """With ties between people and within one; d has no high window, e no low one, f none."""
    rng = np.random.default_rng(5)
    people = rng.choice([*"abcde"], 200)
    label = np.where(people == "d", 0, np.where(people == "e", 1, rng.integers(0, 2, 200)))
    seen = make(label.tolist(), np.round(rng.random(200), 1).tolist(), people.tolist())
    said, is_high = seen.probability_high, label == 1
    wins = (said[:, None] > said) + (said[:, None] == said) / 2
    expected = [
        [
            wins[np.ix_(is_high & (people == who), ~is_high & (people == of))].sum()
            for of in "abcdef"
        ]
        for who in "abcdef"
    ]
    assert count_ranked_pairs(seen, np.array([*"abcdef"])).tolist() == expected


def test_ccc_by_hand_on_four_windows() -> None:
    """Means 2.5 and 3, variances 1.25 and 1, covariance 1: 2 / (1.25 + 1 + 0.25)."""
    metrics = measure(make_values([1, 2, 3, 4], [2, 2, 4, 4]))
    assert metrics.num_windows == 4
    assert metrics.ccc == pytest.approx(2 / 2.5)
    assert metrics.rmse == pytest.approx(np.sqrt((1 + 0 + 1 + 0) / 4))
    assert metrics.pearson == pytest.approx(1 / np.sqrt(1.25))


def test_ccc_is_the_mean_of_each_person_s_own_and_the_pooled_one_stands_beside_it() -> None:
    """a: 4 / 5 as above; b, at a level of its own, is foretold backwards: -1; c does not move."""
    label = [1, 2, 3, 4, 10, 12, 5, 5]
    said = [2, 2, 4, 4, 12, 10, 4, 6]
    metrics = measure(make_values(label, said, [*"aaaabbcc"]))
    assert metrics.ccc == pytest.approx((0.8 - 1) / 2)
    y, p = np.array(label), np.array(said)
    spread = y.var() + p.var() + (y.mean() - p.mean()) ** 2
    assert metrics.ccc_pooled == pytest.approx(1 - ((y - p) ** 2).mean() / spread)
    assert metrics.ccc_pooled > 0.9


def test_ccc_by_another_formula() -> None:
    """Lin's own reading: 1 - E(y - p)^2 / E(y - p)^2 under independence; and r times the bias."""
    rng = np.random.default_rng(2)
    target = rng.standard_normal(300)
    said = 0.7 * target + 0.5 * rng.standard_normal(300) + 0.3
    metrics = measure(make_values(target, said))
    independent = ((target[:, None] - said[None]) ** 2).mean()
    assert metrics.ccc == pytest.approx(1 - metrics.rmse**2 / independent, abs=1e-6)
    v, u = (
        said.std() / target.std(),
        (said.mean() - target.mean()) / np.sqrt(said.std() * target.std()),
    )
    assert metrics.pearson == pytest.approx(np.corrcoef(target, said)[0, 1], abs=1e-6)
    assert metrics.ccc == pytest.approx(metrics.pearson * 2 / (v + 1 / v + u**2), abs=1e-6)


def test_ccc_minds_level_and_scale_of_the_prediction_and_no_common_ones() -> None:
    rng = np.random.default_rng(3)
    target = rng.standard_normal(200)
    said = target + 0.5 * rng.standard_normal(200)
    plain = measure(make_values(target, said)).ccc
    assert measure(make_values(5 * target - 2, 5 * said - 2)).ccc == pytest.approx(plain, abs=1e-5)
    assert measure(make_values(said, target)).ccc == pytest.approx(plain, abs=1e-6), "symmetric"
    assert measure(make_values(target, target)).ccc == pytest.approx(1)
    assert measure(make_values(target, -target + 2 * target.mean())).ccc == pytest.approx(-1)
    assert measure(make_values(target, said + 1)).ccc < plain - 0.1
    assert measure(make_values(target, 0.1 * said)).ccc < plain - 0.1
