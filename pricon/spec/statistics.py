"""What a report may conclude. Changes no trial."""

from pydantic import Field

from pricon.spec.base import Spec


class StatisticsSpec(Spec):
    """Numbers that the statistics of a report need and that no data can tell."""

    equivalence_margin: float = Field(0.02, gt=0, lt=1)
    """Accuracies that differ by less are comparable: hypothesis 3 is tested against it. 0.02 is two
    points of accuracy. [A] ours."""

    resamples: int = Field(2000, ge=500, le=100_000)
    """Draws of the participant-level bootstrap; fewer make no interval, more fill memory."""


PLAIN = StatisticsSpec()
"""What a job has that says nothing about statistics."""
