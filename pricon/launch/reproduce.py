"""A recorded run once more, from its beginning, and how far it lands from the record."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricon.corpus.ensure import open_built
from pricon.errors import CorpusError, PlanError, SpecError
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.submit import View, run, run_storage
from pricon.plan.plan import Plan, Setting, Trial
from pricon.report.summary import Report
from pricon.report.write import PREDICTIONS, RESULTS
from pricon.report.yardstick import YARDSTICKS
from pricon.spec.job import JobSpec
from pricon.spec.load import parse_job
from pricon.spec.resources import Target
from pricon.storage import Storage
from pricon.track.open import no_tracker

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """What the folder of a run holds."""

    job: JobSpec
    plan: Plan
    predictions: "dict[str, _Predicted]"
    results: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Predicted:
    """One trial's windows in their order: what was predicted, and all else as one table."""

    said: NDArray[np.float64]
    others: pa.Table


def reproduce(
    recorded: Storage,
    folder: Path,
    target: Target | None,
    tolerance: float,
    view: Callable[[Prepared], View],
) -> Reproduction:
    """Train everything again and compare every prediction and every number of the tables.

    Args:
        recorded: folder of the run.
        folder: where to run; an empty folder, so that nothing finished is taken over.
        target: where to run instead of where the job says.
        tolerance: largest difference of predictions that counts as none, in [0, 1): of
            probabilities, or in the unit of the annotation.
        view: shows progress.

    Raises:
        SpecError: the tolerance is none.
        CorpusError: there is no run, it is damaged, or its corpus is gone.
        PlanError: job, corpus or science have changed since, so this would be another run.
    """
    if not (isfinite(tolerance) and 0 <= tolerance < 1):
        raise SpecError(f"the tolerance is {tolerance}", "give a number from 0 to 1, such as 1e-3")
    before = _read(recorded)
    update: dict[str, object] = {"output": str(folder)}
    job = before.job.model_copy(update=update | ({} if target is None else {"target": target}))
    corpus = open_built(job.corpus, job.storage)
    plan = before.plan
    folds = None if plan.is_whole else tuple(sorted({cell.fold for cell in plan.cells}))
    prepared = prepare(job, corpus, folds)
    _check_same(plan, prepared.plan)
    report = run(prepared, corpus, no_tracker(), view(prepared))
    return _compare(before, report, _contents(run_storage(job, plan), plan), tolerance)


def _read(recorded: Storage) -> _Recorded:
    names = ("job.yaml", "plan.json", PREDICTIONS, RESULTS)
    missing = [name for name in names if not recorded.exists(name)]
    if missing:
        raise CorpusError(
            f"{recorded.uri} is not the folder of a finished run: it has no `{missing[0]}`",
            "give the folder `<output>/<job>/<run id>`, which holds the report",
        )
    try:
        plan = Plan.from_json(recorded.read("plan.json"))
        predictions, results = _contents(recorded, plan)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as err:
        raise CorpusError(
            f"the run in {recorded.uri} is damaged\n  {str(err).splitlines()[0]}",
            "fetch it again, or submit its job, which writes the report anew",
        ) from err
    job = parse_job(recorded.read("job.yaml").decode(), f"{recorded.uri}/job.yaml")
    return _Recorded(job=job, plan=plan, predictions=predictions, results=results)


def _contents(storage: Storage, plan: Plan) -> tuple[dict[str, _Predicted], dict[str, Any]]:
    table = pq.read_table(io.BytesIO(storage.read(PREDICTIONS)))
    words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    for name in words:
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    table = table.sort_by([("trial_id", "ascending"), ("window", "ascending")])
    names, starts = np.unique(np.array(table["trial_id"].to_pylist(), str), return_index=True)
    ends = [*starts.tolist(), table.num_rows][1:]
    column = YARDSTICKS[plan.task].said
    said = table[column].to_numpy().astype(np.float64)
    others = table.drop_columns([column])
    predictions = {
        name: _Predicted(said[start:end], others.slice(start, end - start))
        for name, start, end in zip(names.tolist(), starts.tolist(), ends, strict=True)
    }
    return predictions, json.loads(storage.read(RESULTS))


def _check_same(before: Plan, now: Plan) -> None:
    if before.run_id == now.run_id:
        return
    changed = (
        f"the corpus: its digest was {before.corpus_digest[:16]}, is {now.corpus_digest[:16]}"
        if before.corpus_digest != now.corpus_digest
        else "`job.yaml` of the run, or what this pricon computes"
    )
    raise PlanError(
        f"run {before.run_id} cannot be reproduced: it would be run {now.run_id} now\n"
        f"  changed since: {changed}",
        "use the job and corpus of the run, and the commit that its `environment.json` names",
    )


def _compare(
    before: _Recorded,
    report: Report,
    after: tuple[dict[str, _Predicted], dict[str, Any]],
    tolerance: float,
) -> Reproduction:
    predictions, results = after
    errors = {result.trial.id: result.error for result in report.unfinished}
    largest, num_trials = 0.0, 0
    off = [f"a trial that the job does not have: {name}" for name in _strange(before)]
    for trial in before.plan.trials:
        one, other = before.predictions.get(trial.id), predictions.get(trial.id)
        if one is None or other is None:
            if one is not None:
                reason = errors.get(trial.id) or "it has not finished"
                off.append(f"{_words(trial, before.plan)}: finished then, not now: {reason}")
            elif other is not None:
                off.append(f"{_words(trial, before.plan)}: finished now, not then")
            continue
        num_trials += 1
        difference = _difference(one, other)
        largest = max(largest, difference)
        if difference > tolerance:
            off.append(f"{_words(trial, before.plan)}: predictions differ by {difference:.2g}")
    bound = _SAME if largest <= _SAME else _TABLES
    primary = YARDSTICKS[before.plan.task].primary
    off += [f"{RESULTS}: {line}" for line in _tables_off(before.results, results, primary, bound)]
    off += [f"{RESULTS}: {line}" for line in surfaces_off(before.results, results, bound)]
    return Reproduction(
        run_id=before.plan.run_id,
        num_trials=num_trials,
        num_planned=len(before.plan.trials),
        largest=largest,
        off=tuple(off),
    )


def _strange(before: _Recorded) -> list[str]:
    return sorted({*before.predictions} - {trial.id for trial in before.plan.trials})


def _difference(one: _Predicted, other: _Predicted) -> float:
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
