"""Which point of a surface is best, over all folds and in each of them, and what that is worth."""

from collections.abc import Sequence
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from pricon.plan.plan import Setting
from pricon.report.estimate import Estimate
from pricon.report.scores import Scores
from pricon.report.significance import DECIMALS
from pricon.report.surface import Choice
from pricon.report.weighted import mean_present


def choose(
    settings: Sequence[Setting], scored: Sequence[Scores], e2e: Scores, folds: Sequence[int]
) -> Choice | None:
    """The best point and what it is worth.

    Args:
        settings: of the points; the job's own first, which wins ties.
        scored: an arm at each of them.
        e2e: on the same windows.
        folds: in the order of `Scores.by_fold`.

    Returns:
        None where a trial is missing, and where there is nothing to choose from.
    """
    is_whole = all(scores.cells == e2e.cells for scores in scored)
    if not is_whole or len(e2e.cells) < e2e.num_planned or len(settings) < 2:
        return None
    draws = [scores.primary for scores in scored]
    values = np.round([drawn[0] for drawn in draws], DECIMALS)
    best = int(values.argmax())
    of_fold = np.round([mean_present(scores.by_fold, axis=0) for scores in scored], DECIMALS)
    by_seed = np.array([mean_present(s.by_fold - e2e.by_fold, axis=1) for s in scored])
    return Choice(
        best=settings[best],
        by_fold={
            fold: settings[point] for fold, point in zip(folds, of_fold.argmax(axis=0), strict=True)
        },
        gain=Estimate.of(draws[best] - draws[0]),
        held_out_gain=_held_out_gain(by_seed),
        sd_settings=float(values.std(ddof=1)),
        sd_chance=_sd_chance(by_seed),
    )


def _held_out_gain(by_seed: NDArray[np.float64]) -> float:
    """Shape (points, seeds), the job's own point first -> lead of the point chosen elsewhere."""
    num_seeds = by_seed.shape[1]
    if num_seeds < 2:
        return nan
    gains = []
    for seed in range(num_seeds):
        elsewhere = np.round(np.delete(by_seed, seed, axis=1).mean(axis=1), DECIMALS)
        gains.append(by_seed[elsewhere.argmax(), seed] - by_seed[0, seed])
    return float(np.mean(gains))


def _sd_chance(by_seed: NDArray[np.float64]) -> float:
    """Shape (points, seeds) -> standard error of a point's mean over seeds.

    From what is left of the differences without the means of points and of seeds: what a seed does
    to all points alike sets no two of them apart.

    Source: two-way analysis of variance without replication.
    """
    num_points, num_seeds = by_seed.shape
    if num_seeds < 2:
        return nan
    left = by_seed - by_seed.mean(axis=1, keepdims=True) - by_seed.mean(axis=0) + by_seed.mean()
    variance = (left**2).sum() / ((num_points - 1) * (num_seeds - 1))
    return sqrt(variance / num_seeds)
