"""What a report may conclude. Changes no trial."""

from pydantic import PositiveFloat, PositiveInt

from pricon.spec.base import Spec


class StatisticsSpec(Spec):
    """Numbers that the statistics of a report need and that no data can tell."""

    equivalence_margin: PositiveFloat = 0.02
    """Accuracies that differ by less are comparable: hypothesis 3 is tested against it. 0.02 is two
    points of accuracy. [A] ours."""

    resamples: PositiveInt = 2000
    """Draws of the participant-level bootstrap."""


PLAIN = StatisticsSpec()
"""What a job has that says nothing about statistics."""
