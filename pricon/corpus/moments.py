"""Means and deviations of many groups of windows, in one pass over them."""

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.standardise import Incomplete


class Moments:
    """Mean and standard deviation of each feature within each group, batch by batch.

    Each batch has moments of its own, which are then joined: sums of squares would lose a small
    deviation beside a large mean.

    Args:
        num_groups: sets of windows, which may overlap.
        width: features.
    Source: Chan, Golub, LeVeque 1983, eq. 2.1.
    """

    def __init__(self, num_groups: int, width: int) -> None:
        self.num = np.zeros(num_groups, np.int64)
        self.known = np.zeros((num_groups, width), np.int64)
        self.mean = np.zeros((num_groups, width))
        self.squares = np.zeros((num_groups, width))

    def add(self, group: int, values: NDArray[np.float32]) -> None:
        """Take in some windows of a group, shape (windows, width); not finite is not recorded."""
        is_known = np.isfinite(values)
        exact = np.where(is_known, values, 0).astype(np.float64)
        count = is_known.sum(axis=0)
        mean = exact.sum(axis=0) / np.maximum(count, 1)
        squares = (np.where(is_known, exact - mean, 0) ** 2).sum(axis=0)
        both = np.maximum(self.known[group] + count, 1)
        further = mean - self.mean[group]
        self.squares[group] += squares + further**2 * self.known[group] * count / both
        self.mean[group] += further * count / both
        self.known[group] += count
        self.num[group] += len(values)

    def of(
        self, group: int, incomplete: Incomplete
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each feature of a group; NaN where they are not defined."""
        least = max(self.num[group], 1) if incomplete == "drop" else 1
        defined = self.known[group] >= least
        variance = self.squares[group] / np.maximum(self.known[group], 1)
        return np.where(defined, self.mean[group], np.nan), np.where(
            defined, np.sqrt(variance), np.nan
        )
