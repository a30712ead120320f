"""How one arm scores under resampled participants. Owns the bootstrap.

Windows of one person overlap in time and resemble each other, so people are drawn, not windows.
Every arm sees the same draws, which makes differences between arms paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.report.results import TrialResult
from pricon.report.weighted import mean_present
from pricon.report.yardstick import Yardstick, summed

BOOTSTRAP_SEED = 0

Draws = NDArray[np.float64]
"""Shape (1 + resamples,): first the value seen, then one value a resample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The axes that all arms of a report share, so that their arrays line up.

    Args:
        participants: sorted.
        seeds: sorted.
        folds: sorted.
        weights: how often each participant counts, shape (1 + resamples, participants); the
            first row is all ones.
    """

    participants: NDArray[np.str_]
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one arm reached on one stimulus group, or averaged over several.

    Args:
        draws: metric -> mean over folds, then over seeds, under each resample; the primary first.
        by_participant: primary metric over all windows of a participant, mean over seeds, shape
            (participants,); NaN for those who were never tested, and where it is not defined.
        is_tested: whether a participant was, shape (participants,).
        by_fold: primary metric of each trial, shape (seeds, folds); NaN where there is none.
        teacher: that of their teachers, mean over folds, then seeds; NaN without one.
        cells: (stimulus, affect, fold, seed) of the finished trials.
        num_planned: trials that the plan holds.
    """

    draws: Mapping[str, Draws]
    by_participant: NDArray[np.float64]
    is_tested: NDArray[np.bool_]
    by_fold: NDArray[np.float64]
    teacher: float
    cells: frozenset[tuple[str, str, int, int]]
    num_planned: int

    @property
    def primary(self) -> Draws:
        """Draws of the metric that arms are compared by."""
        return next(iter(self.draws.values()))


def make_grid(results: Sequence[TrialResult], num_resamples: int) -> Grid:
    """Axes and draws for these results; the same people give the same draws."""
    # Trial by trial: all windows of all trials at once are gigabytes of names.
    tested = [np.unique(r.predictions.participant) for r in results if r.predictions is not None]
    participants = np.unique(np.concatenate(tested)) if tested else np.array([], dtype=np.str_)
    weights = np.ones((1 + num_resamples, participants.size))
    if participants.size:
        generator = np.random.default_rng(BOOTSTRAP_SEED)
        shares = np.full(participants.size, 1 / participants.size)
        weights[1:] = generator.multinomial(participants.size, shares, size=num_resamples)
    return Grid(
        participants=participants,
        seeds=tuple(sorted({r.cell.seed for r in results})),
        folds=tuple(sorted({r.cell.fold for r in results})),
        weights=weights,
    )


def score(results: Sequence[TrialResult], grid: Grid, yardstick: Yardstick) -> Scores:
    """Scores of the trials of one arm on one stimulus group.

    Under a resample the metric of a fold comes from the windows of the participants drawn;
    folds of which nobody was drawn are left out of the mean, and so are those that do not define
    it, as one class does not define AUROC.

    Args:
        results: of the arm.
        grid: made from the results of all arms.
        yardstick: of the task.
    """
    shape = (len(grid.seeds), len(grid.folds))
    by_person = np.zeros((len(grid.seeds), grid.participants.size, yardstick.num_sums))
    sums = np.zeros((len(grid.weights), *shape, yardstick.num_sums))
    draws = {name: np.full((len(grid.weights), *shape), np.nan) for name in yardstick.metrics}
    teacher = np.full(shape, np.nan)
    finished = []
    for result in results:
        if result.predictions is None:
            continue
        at = grid.seeds.index(result.cell.seed), grid.folds.index(result.cell.fold)
        seen = summed(result.predictions, grid.participants, grid.weights)
        tested = np.flatnonzero(seen.sums.any(axis=1))  # few of all, where there are many folds
        sums[:, *at] = grid.weights[:, tested] @ seen.sums[tested]
        by_person[at[0]] += seen.sums
        for name, values in seen.others.items():
            draws[name][:, *at] = values
        teacher[at] = np.nan if result.teacher_score is None else result.teacher_score
        finished.append(result.cell)
    draws |= {name: of(sums) for name, of in yardstick.of_sums.items()}
    return Scores(
        draws={name: _over_folds_and_seeds(values) for name, values in draws.items()},
        by_participant=mean_present(yardstick.own(by_person), axis=0),
        is_tested=np.count_nonzero(by_person, axis=(0, 2)) > 0,
        by_fold=draws[yardstick.primary][0],
        teacher=float(_over_folds_and_seeds(teacher)),
        cells=frozenset((cell.stimulus, cell.affect, cell.fold, cell.seed) for cell in finished),
        num_planned=len(results),
    )


def average(scores: Sequence[Scores]) -> Scores:
    """Mean over stimulus groups, each counting the same; participants are drawn jointly."""
    return Scores(
        draws={
            name: mean_present(np.stack([s.draws[name] for s in scores]), axis=0)
            for name in scores[0].draws
        },
        by_participant=mean_present(np.stack([s.by_participant for s in scores]), axis=0),
        is_tested=np.count_nonzero([s.is_tested for s in scores], axis=0) > 0,
        by_fold=mean_present(np.stack([s.by_fold for s in scores]), axis=0),
        teacher=float(mean_present(np.array([s.teacher for s in scores]), axis=0)),
        cells=frozenset().union(*(s.cells for s in scores)),
        num_planned=sum(s.num_planned for s in scores),
    )


def _over_folds_and_seeds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean_present(mean_present(values, axis=-1), axis=-1)
