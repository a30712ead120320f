"""What a report may conclude. Changes no trial."""

from pydantic import Field

from pricon.spec.base import Spec


class StatisticsSpec(Spec):
    """Numbers that the statistics of a report need and that no data can tell."""

    equivalence_margin: float | None = Field(None, gt=0, lt=1)
    """Arms that differ by less in the primary metric are comparable: hypothesis 3 is tested against
    it. Null is the custom of the task: 0.02 of accuracy, which is two points, and 0.04 of CCC,
    which is the same share of the way from a constant predictor (0.5 and 0) to a perfect one.
    [A] ours."""

    resamples: int = Field(2000, ge=500, le=100_000)
    """Draws of the participant-level bootstrap; fewer make no interval, more fill memory."""

    @property
    def margin(self) -> float:
        """The equivalence margin of a job that has been loaded."""
        if self.equivalence_margin is None:
            raise ValueError("a job resolves its margin when it is loaded")
        return self.equivalence_margin


PLAIN = StatisticsSpec(equivalence_margin=0.02)
"""What a classification job has that says nothing about statistics."""
