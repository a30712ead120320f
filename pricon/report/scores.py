"""How one arm scores under resampled participants. Owns the bootstrap.

Windows of one person overlap in time and resemble each other, so people are drawn, not windows.
Every arm sees the same draws, which makes differences between arms paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.report.metrics import METRICS, Metrics, count_outcomes, count_ranked_pairs
from pricon.report.results import Predictions, TrialResult

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
        draws: metric -> mean over folds, then over seeds, under each resample.
        by_participant: accuracy over all windows of a participant, mean over seeds, shape
            (participants,); NaN for those who were never tested.
        by_fold: accuracy of each trial, shape (seeds, folds); NaN where there is none.
        teacher: accuracy of their teachers, mean over folds, then seeds; NaN without one.
        cells: (stimulus, affect, fold, seed) of the finished trials.
        num_planned: trials that the plan holds.
    """

    draws: Mapping[str, Draws]
    by_participant: NDArray[np.float64]
    by_fold: NDArray[np.float64]
    teacher: float
    cells: frozenset[tuple[str, str, int, int]]
    num_planned: int


def make_grid(results: Sequence[TrialResult], num_resamples: int) -> Grid:
    """Axes and draws for these results; the same people give the same draws."""
    tested = [r.predictions.participant for r in results if r.predictions is not None]
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


def score(trials: Sequence[tuple[TrialResult, Metrics | None]], grid: Grid) -> Scores:
    """Scores of the trials of one arm on one stimulus group.

    Under a resample the metric of a fold comes from the windows of the participants drawn;
    folds of which nobody was drawn are left out of the mean, for AUROC also those of which only
    windows of one class were.

    Args:
        trials: results with their metrics, None where a trial did not finish.
        grid: made from the results of all arms.
    """
    shape = (len(grid.seeds), len(grid.folds))
    counts = np.zeros((*shape, grid.participants.size, 4))
    auroc = np.full((len(grid.weights), *shape), np.nan)
    teacher = np.full(shape, np.nan)
    finished = []
    for result, metrics in trials:
        if result.predictions is None or metrics is None:
            continue
        at = grid.seeds.index(result.cell.seed), grid.folds.index(result.cell.fold)
        counts[at] = count_outcomes(result.predictions, grid.participants)
        auroc[:, *at] = _auroc(result.predictions, counts[at], grid)
        teacher[at] = np.nan if result.teacher_accuracy is None else result.teacher_accuracy
        finished.append(result.cell)
    by_person = np.moveaxis(counts, 2, 0).reshape(
        grid.participants.size, 4 * len(grid.seeds) * len(grid.folds)
    )
    sums = (grid.weights @ by_person).reshape(-1, *shape, 4)
    draws = {name: _over_folds_and_seeds(of(sums)) for name, of in _OF_COUNTS.items()}
    draws["auroc"] = _over_folds_and_seeds(auroc)
    return Scores(
        draws={name: draws[name] for name in METRICS},
        by_participant=mean_present(_accuracy(counts.sum(axis=1)), axis=0),
        by_fold=_accuracy(sums[0]),
        teacher=float(_over_folds_and_seeds(teacher)),
        cells=frozenset((cell.stimulus, cell.affect, cell.fold, cell.seed) for cell in finished),
        num_planned=len(trials),
    )


def average(scores: Sequence[Scores]) -> Scores:
    """Mean over stimulus groups, each counting the same; participants are drawn jointly."""
    return Scores(
        draws={m: mean_present(np.stack([s.draws[m] for s in scores]), axis=0) for m in METRICS},
        by_participant=mean_present(np.stack([s.by_participant for s in scores]), axis=0),
        by_fold=mean_present(np.stack([s.by_fold for s in scores]), axis=0),
        teacher=float(mean_present(np.array([s.teacher for s in scores]), axis=0)),
        cells=frozenset().union(*(s.cells for s in scores)),
        num_planned=sum(s.num_planned for s in scores),
    )


def mean_present(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean along an axis over what is not NaN; NaN where nothing is left.

    >>> mean_present(np.array([[1.0, np.nan], [3.0, np.nan]]), axis=0)
    array([ 2., nan])
    """
    present = ~np.isnan(values)
    return _divide(np.where(present, values, 0).sum(axis=axis), present.sum(axis=axis))


def _over_folds_and_seeds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean_present(mean_present(values, axis=-1), axis=-1)


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part by whole, NaN where the whole is empty."""
    shares = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts as `metrics.OUTCOMES` on the last axis -> accuracy."""
    return _divide(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def _balanced_accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    low, false_high, false_low, high = np.moveaxis(counts, -1, 0)
    recalls = np.stack([_divide(low, low + false_high), _divide(high, high + false_low)])
    return mean_present(recalls, axis=0)


def _macro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    low, false_high, false_low, high = np.moveaxis(counts, -1, 0)
    wrong = false_high + false_low
    scores = np.stack([_divide(2 * low, 2 * low + wrong), _divide(2 * high, 2 * high + wrong)])
    return mean_present(scores, axis=0)


def _auroc(predictions: Predictions, counts: NDArray[np.float64], grid: Grid) -> Draws:
    """AUROC of one trial under each resample: ranked pairs of the people drawn, of all pairs."""
    tested = np.flatnonzero(counts.sum(axis=1))
    pairs = count_ranked_pairs(predictions, grid.participants[tested])
    weights = grid.weights[:, tested]
    low, false_high, false_low, high = counts[tested].T
    num_pairs = (weights @ (false_low + high)) * (weights @ (low + false_high))
    return _divide(((weights @ pairs) * weights).sum(axis=1), num_pairs)


_OF_COUNTS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
}
