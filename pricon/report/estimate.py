"""A value with the interval that its resamples give it."""

from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from pricon.report.scores import Draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value and the 95 % interval of its participant-level bootstrap (percentiles).

    Args:
        value: seen in the data.
        low: 2.5 % of the resamples lie below; NaN without an interval.
        high: 2.5 % of the resamples lie above; NaN without an interval.
    """

    value: float
    low: float = nan
    high: float = nan

    @staticmethod
    def of(draws: Draws) -> "Estimate":
        """The value seen and its interval over the resamples that define it."""
        resampled = draws[1:][~np.isnan(draws[1:])]
        if isnan(draws[0]) or not resampled.size:
            return Estimate(value=float(draws[0]))
        low, high = np.quantile(resampled, [0.025, 0.975])
        return Estimate(value=float(draws[0]), low=float(low), high=float(high))

    @property
    def has_interval(self) -> bool:
        """Whether an interval could be given."""
        return not isnan(self.low)
