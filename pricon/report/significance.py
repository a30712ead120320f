"""Tests and power over paired differences. Pure functions of numbers; knows no arm."""

from collections.abc import Sequence
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DECIMALS = 12
"""Differences are rounded here, so that equal ones tie although they were summed differently."""


def paired_wilcoxon(differences: NDArray[np.float64]) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test that the differences are symmetric about 0.

    Zero differences carry no sign and are left out (Wilcoxon's own treatment); where all are
    zero nothing speaks against equality and p is 1.

    Args:
        differences: one a pair, NaN where a pair is not whole.

    Returns:
        NaN without any pair.

    >>> paired_wilcoxon(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    0.0625
    """
    rounded = np.round(differences[~np.isnan(differences)], DECIMALS)
    if rounded.size == 0:
        return nan
    signed = rounded[rounded != 0]
    if signed.size == 0:
        return 1.0
    result = stats.wilcoxon(signed)  # exact up to 50 pairs without ties
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted by Holm's step-down method, in the order given; NaN stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if not np.isnan(p))
    adjusted = [nan] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = largest
    return tuple(adjusted)


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values times their number, at most 1; NaN stays NaN and does not count.

    >>> bonferroni([0.01, 0.6])
    (0.02, 1.0)
    """
    num = sum(not np.isnan(p) for p in p_values)
    return tuple(p if np.isnan(p) else min(1.0, num * p) for p in p_values)


def smallest_detectable(
    differences: NDArray[np.float64], alpha: float = 0.05, power: float = 0.8
) -> float:
    """Mean difference that a two-sided paired t test finds with this power, in the same unit.

    The usual approximation by central t: (t(1 - alpha/2) + t(power)) * sd / sqrt(n), both with
    n - 1 degrees of freedom, sd that of the differences seen.

    Returns:
        NaN with fewer than two pairs.
    """
    seen = differences[~np.isnan(differences)]
    if seen.size < 2:
        return nan
    quantiles = stats.t.ppf([1 - alpha / 2, power], seen.size - 1)
    return float(quantiles.sum() * seen.std(ddof=1) / sqrt(seen.size))


def equivalence(differences: NDArray[np.float64], margin: float) -> float:
    """P value of two one-sided paired t tests (TOST) that the mean lies within the margin.

    Small where it does: both "at least `margin` worse" and "at least `margin` better" are refused.

    Args:
        differences: one a pair, NaN where a pair is not whole.
        margin: largest difference that counts as none, > 0, in the unit of the differences.

    Returns:
        The larger of the two one-sided p values; NaN with fewer than two pairs.
    Source: Schuirmann 1987; Lakens 2017.

    >>> round(equivalence(np.array([0.01, -0.01, 0.0, 0.005, -0.005]), 0.02), 4)
    0.0024
    """
    seen = differences[~np.isnan(differences)]
    if seen.size < 2:
        return nan
    error = max(float(seen.std(ddof=1)) / sqrt(seen.size), 10.0**-DECIMALS)
    closest = (margin - abs(float(seen.mean()))) / error
    return float(stats.t.sf(closest, seen.size - 1))
