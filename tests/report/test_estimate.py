"""Percentile intervals of resamples."""

from math import isnan, nan

import numpy as np
import pytest

from pricon.report.estimate import Estimate


def test_percentiles_of_the_resamples() -> None:
    draws = np.concatenate([[0.5], np.linspace(0, 1, 1001)])
    seen = Estimate.of(draws)
    assert (seen.value, seen.low, seen.high) == pytest.approx((0.5, 0.025, 0.975))


def test_undefined_resamples_are_left_out() -> None:
    seen = Estimate.of(np.array([0.5, nan, 0.4, 0.4]))
    assert (seen.low, seen.high) == (0.4, 0.4)


def test_an_undefined_value_has_no_interval() -> None:
    assert not Estimate.of(np.array([nan, 0.1, 0.2])).has_interval
    assert isnan(Estimate.of(np.array([0.5, nan])).low)
