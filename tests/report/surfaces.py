"""Small hand-made runs of a job with a grid, judged by validation participants who recur."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from pricon.plan.plan import UNTOUCHED, Cell, Lane, Plan, Setting, Split, Trial
from pricon.report.results import TrialResult
from pricon.spec.job import Arm
from tests.report.grids import predictions

WEIGHTS = (0.25, 0.1)
TEMPERATURES = (0.5, 2.0)
TAUS = (0.1, 0.05)
"""The job's own value first."""

Wrong = Callable[[Setting, int, int], int]
"""(setting, participant's index, seed) -> how many of ten windows are predicted wrongly."""


@dataclass(frozen=True, kw_only=True)
class Surfaces:
    """Shape of a run; fold f under seed s is judged by participants f + s and f + s + 1."""

    wrong: Wrong
    e2e: Wrong = lambda setting, participant, seed: 4
    stimuli: tuple[str, ...] = ("heist",)
    num_folds: int = 3
    num_people: int = 6
    seeds: tuple[int, ...] = (0, 1)
    generated: bool = False


def grid_points() -> tuple[Setting, ...]:
    return tuple(
        Setting(distillation_weight=a, distillation_temperature=t, contrastive_temperature=tau)
        for a, t, tau in product(WEIGHTS, TEMPERATURES, TAUS)
    )


def touched(arm: Arm) -> list[Setting]:
    """The settings of an arm, each once, the job's own first."""
    names = {"e2e": (), "lupi": ("distillation_weight", "distillation_temperature")}.get(arm)
    points = [point.to_dict() for point in grid_points()]
    kept = [Setting(**{k: v for k, v in p.items() if names is None or k in names}) for p in points]
    return [*dict.fromkeys(kept)]


def make_surfaces(run: Surfaces) -> tuple[Plan, list[TrialResult]]:
    """The plan of a run and a finished result for each of its trials."""
    people = [f"p{i:02}" for i in range(run.num_people)]
    cells: list[Cell] = []
    results: list[TrialResult] = []
    arms: tuple[Arm, ...] = ("e2e", "lupi", "pricon")
    for stimulus, fold, seed in product(run.stimuli, range(run.num_folds), run.seeds):
        judges = [(fold + seed) % run.num_people, (fold + seed + 1) % run.num_people]
        held = tuple(people[i] for i in judges)
        rest = tuple(person for person in people if person not in held)
        split = Split(train=rest[1:], validation=held, test=rest[:1])
        cell = Cell(stimuli=(stimulus,), affect="arousal", fold=fold, seed=seed, split=split)
        for arm in arms:
            for setting in touched(arm):
                rule = run.e2e if arm == "e2e" else run.wrong
                trial = Trial(
                    id="-".join((arm, str(setting), stimulus, str(fold), str(seed))),
                    arm=arm,
                    available=("audio",),
                    cell=len(cells),
                    stages=(),
                    setting=setting,
                )
                results.append(
                    TrialResult(
                        trial=trial,
                        cell=cell,
                        status="finished",
                        predictions=predictions(held, [rule(setting, i, seed) for i in judges]),
                        num_windows={"train": 20, "validation": 20, "dropped": 4},
                        share_high={"train": 0.6, "validation": 0.5},
                    )
                )
        cells.append(cell)
    plan = Plan(
        run_id="run0",
        job_name="grid-tiny",
        corpus_digest="c" * 64,
        generated=run.generated,
        num_cells_of_job=len(cells),
        cells=tuple(cells),
        stages=(),
        trials=tuple(result.trial for result in results),
        lanes=(Lane(index=0, cells=tuple(range(len(cells)))),),
        grid=grid_points(),
    )
    return plan, results


def better_with_weight(setting: Setting, participant: int, seed: int) -> int:
    """e2e has four of ten wrong; the own point two, half a weight three, T 2 one more."""
    assert setting != UNTOUCHED
    wrong = 2 if setting.distillation_weight == 0.25 else 3
    return wrong + (setting.distillation_temperature == 2.0)


PLAIN = Surfaces(wrong=better_with_weight)
