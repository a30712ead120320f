"""How far a run is from the record of the same: predictions, metrics, surfaces."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from operator import itemgetter
from typing import Any

import numpy as np

from pricon.errors import SpecError
from pricon.launch.recorded import Contents, Predicted, Recorded
from pricon.plan.plan import Plan, Setting, Trial
from pricon.report.write import RESULTS
from pricon.report.yardstick import YARDSTICKS

TOLERANCE = 1e-3
"""Largest difference of predictions that counts as none, where nobody says otherwise."""
_SAME = 1e-6
"""Predictions this close give the same tables."""

_TABLES = 0.01
"""How far a primary metric in a table may be off where predictions are not that close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """How two runs of one job compare.

    Args:
        run_id: of both.
        num_trials: trials that both have finished.
        num_planned: trials of the job.
        largest: largest difference between two predictions of one window.
        off: a line for everything that differs by more than the tolerance.
    """

    run_id: str
    num_trials: int
    num_planned: int
    largest: float
    off: tuple[str, ...]


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance by which nothing, or everything, would count as the same.

    Raises:
        SpecError: it is not in [0, 1).
    """
    if not (isfinite(tolerance) and 0 <= tolerance < 1):
        raise SpecError(f"the tolerance is {tolerance}", "give a number from 0 to 1, such as 1e-3")


def compare(
    recorded: Recorded, after: Contents, errors: Mapping[str, str | None], tolerance: float
) -> Reproduction:
    """Compare every prediction, and every number of the tables with what predictions give.

    Args:
        recorded: the record.
        after: what was found when the run was done again.
        errors: then, why a trial has not finished, by its id.
        tolerance: largest difference of predictions that counts as none: of probabilities, or in
            the unit of the annotation.
    """
    plan, before = recorded.plan, recorded.contents
    largest, num_trials = 0.0, 0
    off = [f"a trial that the job does not have: {name}" for name in _strange(recorded)]
    for trial in plan.trials:
        one, other = before.predictions.get(trial.id), after.predictions.get(trial.id)
        if one is None or other is None:
            if one is not None:
                reason = errors.get(trial.id) or "it has not finished"
                off.append(f"{_words(trial, plan)}: finished then, not now: {reason}")
            elif other is not None:
                off.append(f"{_words(trial, plan)}: finished now, not then")
            continue
        num_trials += 1
        difference = _difference(one, other)
        largest = max(largest, difference)
        if difference > tolerance:
            off.append(f"{_words(trial, plan)}: predictions differ by {difference:.2g}")
    bound = _SAME if largest <= _SAME else _TABLES
    primary = YARDSTICKS[plan.task].primary
    off += [
        f"{RESULTS}: {line}" for line in _tables_off(before.results, after.results, primary, bound)
    ]
    off += [f"{RESULTS}: {line}" for line in surfaces_off(before.results, after.results, bound)]
    return Reproduction(
        run_id=plan.run_id,
        num_trials=num_trials,
        num_planned=len(plan.trials),
        largest=largest,
        off=tuple(off),
    )


def _strange(recorded: Recorded) -> list[str]:
    return sorted({*recorded.contents.predictions} - {trial.id for trial in recorded.plan.trials})


def _difference(one: Predicted, other: Predicted) -> float:
    """Largest difference of predictions; 1 where anything else differs, or one is no number."""
    if not one.others.equals(other.others):
        return 1.0
    differences = np.abs(one.said - other.said)
    return float(differences.max(initial=0)) if np.isfinite(differences).all() else 1.0


def _tables_off(before: Any, after: Any, primary: str, bound: float) -> Iterator[str]:
    """Metrics of trials and arms that are not what the predictions give.

    All of them where predictions are equal, else the primary one, which `bound` is about.
    """
    known = [name for row in after["arms"][:1] for name in row["metrics"]]
    arm = ("stimulus", "affect", "available", "arm")
    for name in known if bound <= _SAME else [primary]:
        for place, one, other in (
            *_pairs(before, after, "trials", ("trial_id",), itemgetter(name)),
            *_pairs(before, after, "arms", arm, partial(_mean_of, name)),
        ):
            if _is_off(one, other, bound):
                yield f"{place} has {name} {one}, its predictions give {other}"


def _mean_of(name: str, row: Any) -> Any:
    return row["metrics"][name]["mean"]


def surfaces_off(before: Any, after: Any, bound: float) -> Iterator[str]:
    """A line for each point and choice of a grid that is not what the predictions give.

    What was chosen, and what it is worth elsewhere, may leap from one of two close settings to the
    other, so that is compared under the bound of equal predictions alone.

    Args:
        before: results.json of the recorded run.
        after: that of the new one.
        bound: largest difference of numbers.
    """
    names = ("stimulus", "affect", "available", "arm")
    for place, one, other in _pairs(before, after, "surfaces", names, _numbers_of_surface):
        leaps = {"best", "by_fold", "held_out_gain"} if bound > _SAME else set[str]()
        for name in sorted({*(one or {}), *(other or {})} - leaps):
            was, given = (one or {}).get(name), (other or {}).get(name)
            if _is_off(was, given, bound):
                yield f"{place} has {name} {was}, its predictions give {given}"


def _numbers_of_surface(surface: Any) -> dict[str, Any]:
    choice = surface["choice"] or {}
    numbers = choice | ({"gain": choice["gain"]["mean"]} if choice else {})
    for point in surface["points"]:
        at = str(Setting(**point["setting"]))
        numbers[f"score at {at}"] = point["score"]["mean"]
        minus_e2e = point["minus_e2e"]
        numbers[f"difference to e2e at {at}"] = minus_e2e and minus_e2e["mean"]
    return numbers


def _is_off(one: Any, other: Any, bound: float) -> bool:
    """Whether two numbers differ by more than the bound, or two of anything else at all."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) > bound
    return bool(one != other)


def _pairs(
    before: Any, after: Any, key: str, names: tuple[str, ...], metric: Callable[[Any], Any]
) -> Iterator[tuple[str, Any, Any]]:
    tables = [
        {" ".join(str(row[name]) for name in names): metric(row) for row in document[key]}
        for document in (before, after)
    ]
    for place in sorted({*tables[0], *tables[1]}):
        yield place, tables[0].get(place), tables[1].get(place)


def _words(trial: Trial, plan: Plan) -> str:
    cell = plan.cells[trial.cell]
    return " ".join(filter(None, (trial.arm, trial.modality, str(trial.setting), str(cell))))
