"""One pass in batches gives the moments that all windows at once give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pricon.corpus.moments import Moments
from pricon.corpus.standardise import Incomplete, fit_standardiser, standardiser_of

INCOMPLETE: tuple[Incomplete, ...] = ("drop", "impute")


def passed(values: NDArray[np.float32], batch: int) -> Moments:
    moments = Moments(1, values.shape[1])
    for start in range(0, len(values), batch):
        moments.add(0, values[start : start + batch])
    return moments


@pytest.mark.parametrize("incomplete", INCOMPLETE)
@given(batch=st.integers(1, 40), seed=st.integers(0, 50))
def test_any_batches_give_the_standardiser_of_all(
    incomplete: Incomplete, batch: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(3e4, 0.5, (37, 6)).astype(np.float32)  # deviations beside large means
    values[:, 1] = 0.1  # constant, and no float32
    values[random.integers(37), 2] = np.nan
    values[:, 3] = np.nan
    values[random.integers(37), 4] = np.inf
    values[:, 5] = np.arange(37) == 5
    found = standardiser_of(*passed(values, batch).of(0, incomplete))
    expected = fit_standardiser(values, incomplete)
    assert found.kept.tolist() == expected.kept.tolist()
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-7)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)


def test_a_constant_is_constant_in_whatever_batches_it_comes() -> None:
    for value in (0.1, 1e-4, 12345.678):
        values = np.full((1000, 1), value, np.float32)
        assert standardiser_of(*passed(values, 7).of(0, "drop")).kept.tolist() == [False]


def test_groups_are_apart_and_may_be_empty() -> None:
    moments = Moments(3, 1)
    moments.add(0, np.array([[1.0], [3.0]], np.float32))
    moments.add(2, np.array([[10.0]], np.float32))
    moments.add(0, np.array([[5.0]], np.float32))
    mean, deviation = moments.of(0, "drop")
    assert mean.tolist() == [3.0]
    assert deviation[0] == pytest.approx(np.std([1, 3, 5]))
    assert np.isnan(moments.of(1, "drop")[0]).all()
    assert moments.of(2, "impute")[0].tolist() == [10.0]
