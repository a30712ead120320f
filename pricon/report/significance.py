"""Tests and power over paired differences. Pure functions of numbers; knows no arm."""

from collections.abc import Sequence
from functools import cache
from math import nan

import numpy as np
from numpy.typing import NDArray

DECIMALS = 12
"""Differences are rounded here, so that equal ones tie although they were summed differently."""

_FEW = 13
"""Pairs that have an exact p value although some tie, at most; as in SciPy."""


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
    from scipy.stats import wilcoxon  # takes a second, at the end of a run

    rounded = np.round(differences[~np.isnan(differences)], DECIMALS)
    if rounded.size == 0:
        return nan
    signed = rounded[rounded != 0]
    if signed.size == 0:
        return 1.0
    if signed.size <= _FEW and np.unique(np.abs(signed)).size < signed.size:
        return _exact_wilcoxon(signed)
    result = wilcoxon(signed)  # exact up to 50 pairs without ties
    return float(result.pvalue)


def _exact_wilcoxon(signed: NDArray[np.float64]) -> float:
    """The p value by all 2^n ways to give n differences their signs, ties or not.

    SciPy does the same for few pairs with ties, in a second: it ranks the differences again under
    every choice of signs. Ranks do not depend on signs, only the sum of the positive ones does.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(signed))
    sums = np.zeros(1)  # of every subset of the ranks; exact, as ranks are multiples of one half
    for rank in ranks:
        sums = np.concatenate([sums, sums + rank])
    seen = ranks[signed > 0].sum()
    tails = np.count_nonzero(sums <= seen), np.count_nonzero(sums >= seen)
    return min(2 * min(tails) / sums.size, 1.0)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted by Holm's step-down method, in the order given; NaN stays NaN.

    Not by statsmodels, which has the garbage of the whole process collected at every call.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(adjusted))
    rising = known[np.argsort(adjusted[known])]
    raised = adjusted[rising] * np.arange(rising.size, 0, -1)
    adjusted[rising] = np.minimum(np.maximum.accumulate(raised), 1)
    return tuple(adjusted.tolist())


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values times their number, at most 1; NaN stays NaN and does not count.

    >>> bonferroni([0.01, 0.6])
    (0.02, 1.0)
    """
    raw = np.array(p_values, dtype=np.float64)
    return tuple(np.minimum(raw * np.count_nonzero(~np.isnan(raw)), 1).tolist())


def smallest_detectable(
    differences: NDArray[np.float64], alpha: float = 0.05, power: float = 0.8
) -> float:
    """Mean difference that a two-sided paired t test finds with this power, in the same unit.

    Exact for normal differences (noncentral t), with the standard deviation seen.

    Returns:
        NaN with fewer than two pairs.
    """
    seen = differences[~np.isnan(differences)]
    if seen.size < 2:
        return nan
    return float(_detectable_effect(seen.size, alpha, power) * seen.std(ddof=1))


@cache  # the comparisons of a report have few different numbers of pairs
def _detectable_effect(num_pairs: int, alpha: float, power: float) -> float:
    """The same in standard deviations."""
    from statsmodels.stats.power import TTestPower  # takes a second, at the end of a run

    effect_size = TTestPower().solve_power(nobs=num_pairs, alpha=alpha, power=power)
    return np.asarray(effect_size, dtype=np.float64).item()


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
    if np.ptp(seen) < 10.0**-DECIMALS:
        return float(abs(seen[0]) >= margin)
    from statsmodels.stats.weightstats import DescrStatsW  # takes a second, at the end of a run

    return float(DescrStatsW(seen).ttost_mean(-margin, margin)[0])
