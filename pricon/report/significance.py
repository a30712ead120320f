"""Tests and power over paired differences. Pure functions of numbers; knows no arm."""

from collections.abc import Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

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
    from scipy.stats import wilcoxon  # takes a second, at the end of a run

    rounded = np.round(differences[~np.isnan(differences)], DECIMALS)
    if rounded.size == 0:
        return nan
    signed = rounded[rounded != 0]
    if signed.size == 0:
        return 1.0
    result = wilcoxon(signed)  # exact up to 50 pairs without ties
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted by Holm's step-down method, in the order given; NaN stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    return _adjusted(p_values, "holm")


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values times their number, at most 1; NaN stays NaN and does not count.

    >>> bonferroni([0.01, 0.6])
    (0.02, 1.0)
    """
    return _adjusted(p_values, "bonferroni")


def _adjusted(p_values: Sequence[float], method: str) -> tuple[float, ...]:
    from statsmodels.stats.multitest import multipletests  # takes a second, at the end of a run

    adjusted = np.array(p_values, dtype=np.float64)
    known = ~np.isnan(adjusted)
    adjusted[known] = multipletests(adjusted[known], method=method)[1]
    return tuple(adjusted.tolist())


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
    from statsmodels.stats.power import TTestPower  # takes a second, at the end of a run

    effect_size = TTestPower().solve_power(nobs=seen.size, alpha=alpha, power=power)
    return float(np.asarray(effect_size).item() * seen.std(ddof=1))


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
