"""Windows and labels of each fold: what the arms had to learn from, and what chance reaches."""

from collections.abc import Sequence
from math import hypot, nan

import numpy as np

from pricon.report.results import TrialResult
from pricon.report.summary import FoldSummary
from pricon.report.weighted import mean_present
from pricon.spec.corpus import Affect


def describe_folds(results: Sequence[TrialResult]) -> tuple[FoldSummary, ...]:
    """Windows and labels of each fold; a seed counts once, however many arms it has."""
    by_fold: dict[tuple[str, Affect, int], dict[int, TrialResult]] = {}
    for r in results:
        if r.num_windows:
            key = (r.cell.stimulus, r.cell.affect, r.cell.fold)
            by_fold.setdefault(key, {}).setdefault(r.cell.seed, r)
    return tuple(_fold(*key, list(seeds.values())) for key, seeds in by_fold.items())


def _fold(stimulus: str, affect: Affect, fold: int, seeds: Sequence[TrialResult]) -> FoldSummary:
    def mean(values: list[float]) -> float:
        return float(mean_present(np.array(values, dtype=np.float64), axis=0))

    shares = [r.share_high for r in seeds]
    majority = [
        share["test"] if share["train"] >= 0.5 else 1 - share["test"]
        for share in shares
        if {"train", "test"} <= share.keys()
    ]
    moments = [r.affect for r in seeds]
    constant = [
        hypot(of["test"][1], of["test"][0] - of["train"][0])
        for of in moments
        if {"train", "test"} <= of.keys()
    ]
    windows = ("train", "validation", "test", "dropped")
    return FoldSummary(
        stimulus=stimulus,
        affect=affect,
        fold=fold,
        num_windows={k: mean([r.num_windows.get(k, nan) for r in seeds]) for k in windows},
        share_high={k: mean([share.get(k, nan) for share in shares]) for k in windows[:3]},
        majority_accuracy=mean(majority),
        affect_mean={k: mean([of[k][0] for of in moments if k in of]) for k in windows[:3]},
        affect_sd={k: mean([of[k][1] for of in moments if k in of]) for k in windows[:3]},
        constant_rmse=mean(constant),
    )
