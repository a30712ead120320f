"""Tests and power against tables and hand calculation."""

from math import isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pricon.report.significance import (
    bonferroni,
    equivalence,
    holm,
    paired_wilcoxon,
    smallest_detectable,
)


def test_five_pairs_cannot_fall_below_one_in_sixteen() -> None:
    assert paired_wilcoxon(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(2 / 2**5)


def test_one_sign_against_six_by_enumeration() -> None:
    # Ranks 1..6, the smallest negative: of 2^6 sign patterns 2 reach a rank sum <= 1; two-sided 4.
    assert paired_wilcoxon(np.array([-1.0, 2, 3, 4, 5, 6])) == pytest.approx(4 / 64)


@pytest.mark.parametrize("num_pairs", [2, 3, 5, 8])
def test_few_pairs_with_ties_have_the_exact_p_value(num_pairs: int) -> None:
    """Against SciPy's permutation test, which ranks every choice of signs anew."""
    rng = np.random.default_rng(num_pairs)
    for _ in range(3):
        differences = rng.choice([-0.2, -0.1, 0.1, 0.2], num_pairs)
        differences[0] = -differences[1]  # ties, whatever was drawn
        slow = stats.wilcoxon(differences, method=stats.PermutationMethod(n_resamples=2**num_pairs))
        assert paired_wilcoxon(differences) == slow.pvalue


def test_no_difference_at_all_speaks_against_nothing() -> None:
    assert paired_wilcoxon(np.zeros(8)) == 1.0
    # 0.1 + 0.2 - 0.3 is not exactly zero; it must not count as a positive difference.
    assert paired_wilcoxon(np.array([0.1 + 0.2 - 0.3, 0.0])) == 1.0


def test_missing_pairs_are_left_out() -> None:
    whole = np.array([1.0, 2, 3, 4, 5])
    assert paired_wilcoxon(np.append(whole, nan)) == paired_wilcoxon(whole)
    assert isnan(paired_wilcoxon(np.array([nan, nan])))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


@pytest.mark.parametrize("method", ["holm", "bonferroni"])
def test_adjusted_p_values_are_those_of_statsmodels(method: str) -> None:
    rng = np.random.default_rng(1)
    adjust = {"holm": holm, "bonferroni": bonferroni}[method]
    for num in (1, 2, 7, 30):
        p_values = np.round(rng.uniform(0, 0.3, num), 2)  # ties among them
        known = np.append(p_values, nan)
        expected = multipletests(p_values, method=method)[1].tolist()
        *found, unknown = adjust(known.tolist())
        assert found == expected
        assert isnan(unknown)


def test_undefined_p_values_do_not_count_as_comparisons() -> None:
    first, second = holm([nan, 0.04])
    assert isnan(first)
    assert second == 0.04
    assert bonferroni([0.04, nan, 0.5])[0] == pytest.approx(0.08)


def test_smallest_detectable_by_table() -> None:
    """Ten pairs of standard deviation 1 find 0.9965 with a power of 0.8 (noncentral t)."""
    differences = np.array([-1.0, 1.0] * 5) * sqrt(9 / 10)
    found = smallest_detectable(differences)
    assert found == pytest.approx(0.9965, abs=1e-3)
    critical = stats.t.ppf(0.975, 9)
    above, below = (
        stats.nct.sf(critical, 9, found * sqrt(10)),
        stats.nct.cdf(-critical, 9, found * sqrt(10)),
    )
    assert above + below == pytest.approx(0.8, abs=1e-6)


def test_one_pair_can_detect_nothing() -> None:
    assert isnan(smallest_detectable(np.array([0.3, nan])))


@pytest.mark.parametrize("shift", [-0.03, -0.01, 0.0, 0.01, 0.03])
def test_equivalence_is_the_larger_of_two_one_sided_t_tests(shift: float) -> None:
    differences = np.random.default_rng(3).normal(shift, 0.02, 30)
    above = stats.ttest_1samp(differences, -0.02, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, 0.02, alternative="less").pvalue
    assert equivalence(differences, 0.02) == pytest.approx(max(above, below))
    assert equivalence(-differences, 0.02) == pytest.approx(max(above, below))


def test_equivalence_without_noise_or_without_pairs() -> None:
    assert equivalence(np.full(5, 0.01), 0.02) == pytest.approx(0, abs=1e-12)
    assert equivalence(np.full(5, 0.03), 0.02) == pytest.approx(1)
    assert np.isnan(equivalence(np.array([0.01, np.nan]), 0.02))
