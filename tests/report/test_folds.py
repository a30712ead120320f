"""Windows, classes and the majority baseline of each fold."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from pricon.report.folds import describe_folds
from tests.report.grids import Grid, always, make_run, make_value_run
from tests.report.test_statistics import LARGE


def test_folds_tell_windows_classes_and_the_majority_baseline() -> None:
    folds = describe_folds(make_run(LARGE)[1])
    assert [fold.fold for fold in folds] == [0, 1]
    assert folds[0].num_windows == {"train": 20, "validation": 10, "test": 30, "dropped": 4}
    assert folds[0].share_high == {"train": 0.6, "validation": 0.5, "test": 0.5}
    assert folds[0].majority_accuracy == 0.5


def test_seeds_are_averaged_and_the_majority_is_that_of_training() -> None:
    _, results = make_run(Grid(arms={"e2e": always(1)}, num_folds=1, seeds=(0, 1)))
    low, high = {"train": 0.4, "test": 0.7}, {"train": 0.6, "test": 0.8}
    first = replace(results[0], num_windows={"train": 10}, share_high=low)
    (fold,) = describe_folds([first, replace(results[1], share_high=high)])
    assert fold.num_windows["train"] == 15
    assert fold.num_windows["test"] == 30  # the first does not tell
    assert fold.share_high["test"] == pytest.approx(0.75)
    assert fold.majority_accuracy == pytest.approx((0.3 + 0.8) / 2)


def test_a_trial_that_tells_nothing_makes_no_fold() -> None:
    _, results = make_run(Grid(arms={"e2e": always(1)}, num_folds=1, seeds=(0,)))
    assert describe_folds([replace(results[0], num_windows={}, share_high={})]) == ()
    (fold,) = describe_folds([replace(results[0], share_high={})])
    assert isnan(fold.majority_accuracy)


def test_folds_of_values_tell_mean_deviation_and_the_rmse_of_the_mean() -> None:
    _, results = make_value_run(Grid(arms={"e2e": always(1)}, num_folds=1, seeds=(0, 1)))
    other = {"train": (0.3, 0.1), "validation": (0.0, 0.1), "test": (0.3, 0.2)}
    (fold,) = describe_folds([results[0], replace(results[1], affect=other)])
    assert fold.affect_mean == pytest.approx({"train": 0.2, "validation": 0.0, "test": 0.3})
    assert fold.affect_sd == pytest.approx({"train": 0.2, "validation": 0.15, "test": 0.3})
    by_hand = [np.sqrt(0.4**2 + (0.3 - 0.1) ** 2), 0.2]
    assert fold.constant_rmse == pytest.approx(np.mean(by_hand))
    assert isnan(fold.majority_accuracy)
    assert isnan(fold.share_high["train"])


def test_the_rmse_of_the_mean_is_that_of_its_windows() -> None:
    """As trials tell it: mean and deviation of each split are enough."""
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal(50), rng.standard_normal(40) + 1
    _, results = make_value_run(Grid(arms={"e2e": always(1)}, num_folds=1, seeds=(0,)))
    moments = {"train": (train.mean(), train.std()), "test": (test.mean(), test.std())}
    (fold,) = describe_folds([replace(results[0], affect=moments)])
    expected = np.sqrt(((test - train.mean()) ** 2).mean())
    assert fold.constant_rmse == pytest.approx(expected)
