"""Small hand-made runs: every window of every trial is written down by a rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from pricon.plan.plan import Cell, Lane, Plan, Split, Trial
from pricon.report.results import Predictions, TrialResult, ValuePredictions
from pricon.spec.corpus import Affect
from pricon.spec.job import Arm

Wrong = Callable[[int, int], int]
"""(participant's index, seed) -> how many of the participant's windows are predicted wrongly."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Shape of a run. Participant i is tested in fold i // per_fold."""

    arms: Mapping[Arm, Wrong]
    available: tuple[str, ...] = ("audio",)
    stimuli: tuple[str, ...] = ("heist",)
    affects: tuple[Affect, ...] = ("arousal",)
    num_folds: int = 2
    per_fold: int = 3
    seeds: tuple[int, ...] = (0, 1)
    num_windows: int = 10
    generated: bool = False
    asked: tuple[int, ...] | None = None


def predictions(
    participants: Sequence[str], wrong: Sequence[int], num_windows: int = 10
) -> Predictions:
    """Windows alternate low, high; the first `wrong` ones of each participant are wrong."""
    label = np.tile(np.arange(num_windows) % 2, len(participants)).astype(np.int8)
    at = np.tile(np.arange(num_windows), len(participants))
    is_wrong = at < np.repeat(wrong, num_windows)
    people = np.repeat(np.array(participants, dtype=np.str_), num_windows)
    high = np.where(is_wrong, 1 - label, label)
    return Predictions(
        window=np.array([int(p[1:]) * 1000 for p in people], dtype=np.int64) + at,
        participant=people,
        session=np.char.add(people, "/s"),
        t_start_s=(at * 3).astype(np.float64),
        label=label,
        probability_high=np.where(high == 1, 0.9, 0.2).astype(np.float32),
    )


def make_run(grid: Grid) -> tuple[Plan, list[TrialResult]]:
    """The plan of a grid and a finished result for each of its trials."""
    people = [f"p{i:02}" for i in range(grid.num_folds * grid.per_fold)]
    cells: list[Cell] = []
    trials: list[Trial] = []
    results: list[TrialResult] = []
    folds = grid.asked if grid.asked is not None else range(grid.num_folds)
    for stimulus, affect in product(grid.stimuli, grid.affects):
        for fold in folds:
            index = range(fold * grid.per_fold, (fold + 1) * grid.per_fold)
            test = tuple(people[i] for i in index)
            rest = tuple(p for p in people if p not in test)
            split = Split(train=rest[1:], validation=rest[:1], test=test)
            for seed in grid.seeds:
                cell = Cell(stimuli=(stimulus,), affect=affect, fold=fold, seed=seed, split=split)
                for trial in _trials(grid, cell, len(cells)):
                    wrong = [grid.arms[trial.arm](i, seed) for i in index]
                    trials.append(trial)
                    results.append(
                        TrialResult(
                            trial=trial,
                            cell=cell,
                            status="finished",
                            predictions=predictions(test, wrong, grid.num_windows),
                            num_windows={"train": 20, "validation": 10, "test": 30, "dropped": 4},
                            share_high={"train": 0.6, "validation": 0.5, "test": 0.5},
                        )
                    )
                cells.append(cell)
    plan = Plan(
        run_id="run0",
        job_name="again-tiny",
        corpus_digest="c" * 64,
        generated=grid.generated,
        num_cells_of_job=len(grid.stimuli) * len(grid.affects) * grid.num_folds * len(grid.seeds),
        cells=tuple(cells),
        stages=(),
        trials=tuple(trials),
        lanes=(Lane(index=0, cells=tuple(range(len(cells)))),),
    )
    return plan, results


def _trials(grid: Grid, cell: Cell, index: int) -> list[Trial]:
    wanted: list[tuple[Arm, tuple[str, ...]]] = []
    for arm in grid.arms:
        match arm:
            case "majority":
                wanted.append((arm, ()))
            case "all_modalities":
                wanted.append((arm, ("audio", "telemetry")))
            case _:
                wanted += [(arm, (modality,)) for modality in grid.available]
    return [
        Trial(
            id="-".join(
                (arm, *available, cell.stimulus, *_second(cell), str(cell.fold), str(cell.seed))
            ),
            arm=arm,
            available=available,
            cell=index,
            stages=(),
        )
        for arm, available in wanted
    ]


def _second(cell: Cell) -> tuple[str, ...]:
    return () if cell.affect == "arousal" else (cell.affect,)


def fail(result: TrialResult, error: str = "loss is not finite in epoch 3") -> TrialResult:
    """The same trial, failed."""
    return replace(result, status="failed", error=error, predictions=None)


def always(wrong: int) -> Wrong:
    """Every participant gets so many windows wrong."""
    return lambda participant, seed: wrong


def make_value_run(grid: Grid) -> tuple[Plan, list[TrialResult]]:
    """The same run under regression: affect that drifts, and predictions of varying quality.

    A participant of whom so many windows were wrong gets so much noise, and is predicted half as
    high as annotated.
    """
    plan, results = make_run(grid)
    moments = {"train": (0.1, 0.3), "validation": (0.0, 0.2), "test": (0.3, 0.4)}
    return replace(plan, task="regression"), [
        replace(
            result,
            predictions=values(result, grid.arms[result.trial.arm]),
            share_high={},
            affect=moments,
        )
        for result in results
    ]


def values(result: TrialResult, wrong: Wrong) -> ValuePredictions:
    seen, cell = result.predictions, result.cell
    assert isinstance(seen, Predictions)
    rng = np.random.default_rng([cell.fold, cell.seed])
    person = np.array([int(name[1:]) for name in seen.participant])
    noise = np.array([wrong(p, cell.seed) for p in person]) * 0.05
    label = np.sin(seen.t_start_s / 5 + person) * 0.3 + 0.02 * person
    prediction = label / 2 + noise * rng.standard_normal(label.size)
    return ValuePredictions(
        window=seen.window,
        participant=seen.participant,
        session=seen.session,
        t_start_s=seen.t_start_s,
        label=label.astype(np.float32),
        prediction=prediction.astype(np.float32),
    )
