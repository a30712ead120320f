"""How one arm depends on settings, as frozen data; NaN means what it means in `summary`."""

from collections.abc import Mapping
from dataclasses import dataclass

from pricon.plan.plan import Setting
from pricon.report.estimate import Estimate
from pricon.spec.corpus import Affect


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One arm at one setting of a grid.

    Args:
        setting: as far as it touches the arm.
        num_finished: trials behind the numbers.
        num_planned: trials that the plan holds.
        score: primary metric on validation participants; mean over folds, then seeds.
        minus_e2e: paired; None where the two did not finish the same cells.
    """

    setting: Setting
    num_finished: int
    num_planned: int
    score: Estimate
    minus_e2e: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What choosing the best point of a surface is worth.

    Args:
        best: its setting; the job's own where no other is better.
        by_fold: fold -> the setting that is best by the fold's own validation participants, mean
            over seeds; chosen without the fold's test participants, as `best` is not.
        gain: that metric there minus at the job's own; optimistic, because it was chosen by it.
        held_out_gain: the same, chosen on all seeds but one and seen on that one, mean over seeds;
            NaN with a single seed.
        sd_settings: standard deviation over points of that metric, mean over seeds.
        sd_chance: the same as it would be by the luck of seeds alone, if settings made no
            difference: standard error of a point's mean, without what a seed does to all points
            alike; NaN with a single seed.
    """

    best: Setting
    by_fold: Mapping[int, Setting]
    gain: Estimate
    held_out_gain: float
    sd_settings: float
    sd_chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One arm over the points of a grid.

    Args:
        stimulus: the group in one word, or `summary.MACRO_AVERAGE`.
        affect: what is predicted.
        available: modalities in the wild, in one word.
        arm: condition.
        num_participants: who judged it.
        own: the job's own setting, as far as it touches the arm.
        points: the job's own first.
        choice: None unless every point and e2e finished all cells, and there are two points.
    """

    stimulus: str
    affect: Affect
    available: str
    arm: str
    num_participants: int
    own: Setting
    points: tuple[Point, ...]
    choice: Choice | None
