"""What is compared with what in a table, and how: all over participants, all paired."""

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from pricon.report.estimate import Estimate
from pricon.report.scores import Scores
from pricon.report.significance import (
    DECIMALS,
    bonferroni,
    equivalence,
    holm,
    paired_wilcoxon,
    smallest_detectable,
)
from pricon.report.summary import Comparison, GapClosed
from pricon.report.weighted import mean_present

SHARED_ARMS = ("majority", "time_only", "all_modalities", "scl_all_modalities")
"""Arms that do not depend on the available set; they belong to every table of their stimulus."""

REFERENCES = (
    ("pricon", "lupi"),
    ("pricon_privileged", "lupi_privileged"),
    ("pricon", "pricon_shuffled"),
    ("pricon", "pricon_random"),
    ("pricon", "all_modalities"),
    ("all_modalities", "time_only"),
)
"""What is compared besides every arm with e2e, where a table has both."""

MOST_WITHOUT_GAP = 0.025
"""There is a gap to close if at most this share of resamples has none: if its 95 % interval lies
above zero. A share of less would be a number divided by noise."""


def compare(
    by_arm: Mapping[str, Scores], pairs: Sequence[tuple[str, str]], margin: float
) -> dict[tuple[str, str], Comparison]:
    """Comparisons of one table; p values are adjusted over all of them."""
    possible = [
        (arm, reference)
        for arm, reference in pairs
        if {arm, reference} <= by_arm.keys()
        and by_arm[arm].cells == by_arm[reference].cells != frozenset()
    ]
    between = [(by_arm[arm], by_arm[reference]) for arm, reference in possible]
    differences = [a.primary - b.primary for a, b in between]
    over_people = [a.by_participant - b.by_participant for a, b in between]
    over_pairs = [a.by_fold - b.by_fold for a, b in between]
    p_values = [paired_wilcoxon(d) for d in over_people]
    adjusted = holm(p_values)
    p_fold_seed = bonferroni([paired_wilcoxon(d.ravel()) for d in over_pairs])
    return {
        (arm, reference): Comparison(
            arm=arm,
            reference=reference,
            difference=Estimate.of(differences[i]),
            by_seed=_by_seed(over_pairs[i]),
            num_participants=int((~np.isnan(over_people[i])).sum()),
            p_value=p_values[i],
            rank_biserial=rank_biserial(over_people[i]),
            p_holm=adjusted[i],
            p_fold_seed=p_fold_seed[i],
            smallest_detectable=smallest_detectable(over_people[i]),
            p_equivalent=equivalence(over_people[i], margin),
        )
        for i, (arm, reference) in enumerate(possible)
    }


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Where Wilcoxon's signed-rank test points: what is left of its ranks once signs cancel.

    Args:
        differences: one a pair, NaN where a pair is not whole; zeros carry no sign.

    Returns:
        1 where all are gains, -1 where all are losses, 0 where none has a sign; NaN without a pair.
    Source: Kerby 2014.

    >>> round(rank_biserial(np.array([0.1, 0.2, -0.3, 0.0])), 3)
    0.0
    """
    from scipy.stats import rankdata  # takes a second, at the end of a run

    seen = np.round(differences[~np.isnan(differences)], DECIMALS)
    if seen.size == 0:
        return nan
    signed = seen[seen != 0]
    ranks = rankdata(np.abs(signed))
    return float((np.sign(signed) * ranks).sum() / max(ranks.sum(), 1))


def _by_seed(differences: NDArray[np.float64]) -> tuple[float, ...]:
    """Shape (seeds, folds) -> mean over folds, rounded: equal arms differ by exactly zero."""
    means = np.round(mean_present(differences, axis=1), DECIMALS) + 0.0  # -0.0 becomes 0.0
    return tuple(means.tolist())


def gap_closed(by_arm: Mapping[str, Scores], arm: str) -> GapClosed | None:
    """How much of the gap an arm closes; None where there is none, or none that it could close."""
    if arm in (*SHARED_ARMS, "e2e") or not {"e2e", "all_modalities"} <= by_arm.keys():
        return None
    e2e = by_arm["e2e"].primary
    gap = by_arm["all_modalities"].primary - e2e
    if not gap[0] > 0:
        return None
    share = np.full(gap.size, nan)
    np.divide(by_arm[arm].primary - e2e, gap, out=share, where=gap > 0)
    num_without_gap = int((gap[1:] <= 0).sum())
    if num_without_gap > MOST_WITHOUT_GAP * (gap.size - 1):
        return None
    return GapClosed(
        share=Estimate.of(share), num_without_gap=num_without_gap, num_resamples=gap.size - 1
    )
