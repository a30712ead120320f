"""Windows, classes and the majority baseline of each fold."""

from dataclasses import replace
from math import isnan

import pytest

from pricon.report.folds import describe_folds
from tests.report.grids import Grid, always, make_run
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
