"""Trial results -> Report: a table for every stimulus group and available set.

What is compared with what, and how, stands in `comparisons`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, product
from math import isnan
from typing import get_args

import numpy as np

from pricon.errors import PlanError
from pricon.plan.plan import Plan
from pricon.report.comparisons import REFERENCES, SHARED_ARMS, compare, gap_closed
from pricon.report.estimate import Estimate
from pricon.report.folds import describe_folds
from pricon.report.metrics import measure
from pricon.report.results import TrialResult
from pricon.report.scores import (
    Grid,
    Scores,
    average,
    make_grid,
    score,
)
from pricon.report.sensitivity import sentences, surfaces
from pricon.report.summary import (
    MACRO_AVERAGE,
    ArmSummary,
    Block,
    Report,
    TrialRow,
)
from pricon.report.verdict import pronounce
from pricon.spec.corpus import Affect
from pricon.spec.job import Arm
from pricon.spec.statistics import PLAIN, StatisticsSpec

ARMS: tuple[str, ...] = get_args(Arm)
"""Order of the rows of a table."""


def summarise(plan: Plan, results: Sequence[TrialResult], spec: StatisticsSpec = PLAIN) -> Report:
    """What the results of a plan come to. Pure: the same results give the same report.

    A trial of the plan without a result counts as missing. The report of a job with a grid of
    settings has surfaces in place of tables.

    Args:
        plan: what was to run.
        results: what became of it.
        spec: numbers of the job that the statistics need.

    Raises:
        PlanError: a result belongs to another plan, or trials of one cell were not evaluated on
            the same windows.
    """
    rows = _one_per_trial(plan, results)
    _refuse_different_windows(rows)
    report = Report(
        job_name=plan.job_name,
        run_id=plan.run_id,
        corpus_digest=plan.corpus_digest,
        generated=plan.generated,
        folds_asked=None if plan.is_whole else tuple(sorted({c.fold for c in plan.cells})),
        trials=tuple(
            TrialRow(result=r, metrics=None if r.predictions is None else measure(r.predictions))
            for r in rows
        ),
        blocks=(),
        folds=describe_folds(rows),
        statistics=spec,
        judged_on=plan.judged_on,
        task=plan.task,
    )
    if plan.grid:
        found = surfaces(plan, report.trials, spec.resamples)
        told = sentences(found, plan.generated) if report.complete else ()
        return replace(report, surfaces=found, verdict=told)
    report = replace(report, blocks=_blocks(report))
    return replace(report, verdict=pronounce(report)) if report.complete else report


def _one_per_trial(plan: Plan, results: Sequence[TrialResult]) -> list[TrialResult]:
    """Results in the order of the plan."""
    by_id = {result.trial.id: result for result in results}
    strange = sorted(by_id.keys() - {trial.id for trial in plan.trials})
    if strange:
        raise PlanError(
            f"{len(strange)} results are not of run {plan.run_id}, such as trial {strange[0]}",
            hint="report each run from its own folder",
        )
    missing = (
        TrialResult(
            trial=trial,
            cell=plan.cells[trial.cell],
            status="missing",
            num_windows={},
            share_high={},
        )
        for trial in plan.trials
    )
    rows = [by_id.get(result.trial.id, result) for result in missing]
    assert all((row.status == "finished") == (row.predictions is not None) for row in rows)
    return rows


def _refuse_different_windows(results: Sequence[TrialResult]) -> None:
    """Arms are paired window by window; a stale result would break the pairs silently."""
    first: dict[int, TrialResult] = {}
    for result in results:
        if result.predictions is None:
            continue
        other = first.setdefault(result.trial.cell, result)
        assert other.predictions is not None
        windows = np.sort(result.predictions.window)
        if not np.array_equal(windows, np.sort(other.predictions.window)):
            raise PlanError(
                f"trials {other.trial.id} and {result.trial.id} were evaluated on different "
                f"windows of {result.cell}; all arms of a cell must share them",
                hint="run the job again with `--rerun`",
            )


def _blocks(report: Report) -> tuple[Block, ...]:
    results = [row.result for row in report.trials]
    grid = make_grid(results, report.statistics.resamples)
    stimuli = list(dict.fromkeys(result.cell.stimulus for result in results))
    affects = list(dict.fromkeys(result.cell.affect for result in results))
    scored: dict[_Condition, Scores] = {}
    for condition, found in groupby(sorted(report.trials, key=_condition), key=_condition):
        scored[condition] = score([row.result for row in found], grid, report.yardstick)
    blocks = []
    for affect, available in product(affects, _available_sets(results)):
        tables = {s: _rows_of(scored, (s, affect), available) for s in stimuli}
        if len(stimuli) > 1:
            tables = {MACRO_AVERAGE: _macro(list(tables.values())), **tables}
        for stimulus, rows in tables.items():
            blocks.append(_block((stimulus, affect), available, rows, report, grid))
    return tuple(blocks)


_Place = tuple[str, Affect]
"""Stimulus and affect."""

_Condition = tuple[_Place, str, str]
"""Place, arm and modality."""


def _condition(row: TrialRow) -> _Condition:
    trial, cell = row.result.trial, row.result.cell
    return (cell.stimulus, cell.affect), trial.arm, trial.modality


def _available_sets(results: Sequence[TrialResult]) -> list[str]:
    """Available sets of the students in the order of the plan; one table where there are none."""
    students = [r.trial.modality for r in results if r.trial.arm not in SHARED_ARMS]
    return list(dict.fromkeys(students)) or [results[0].trial.modality] if results else []


_Row = tuple[str, str]
"""Arm and modality."""


def _rows_of(
    scored: Mapping[_Condition, Scores], place: _Place, available: str
) -> dict[_Row, Scores]:
    """Scores of one table, in the order of its rows."""
    rows: dict[_Row, Scores] = {}
    for arm in ARMS:
        modalities = [m for s, a, m in scored if (s, a) == (place, arm)]
        if arm in SHARED_ARMS and available not in modalities:
            modalities = modalities[:1]
        else:
            modalities = [m for m in modalities if m == available]
        rows |= {(arm, m): scored[place, arm, m] for m in modalities}
    return rows


def _macro(tables: Sequence[Mapping[_Row, Scores]]) -> dict[_Row, Scores]:
    """Average over stimuli; the modalities of all of them name a row."""
    shared = [row for row in tables[0] if all(row in table for table in tables)]
    return {row: average([table[row] for table in tables]) for row in shared}


def _block(
    place: _Place, available: str, rows: Mapping[_Row, Scores], report: Report, grid: Grid
) -> Block:
    stimulus, affect = place
    by_arm = {arm: scores for (arm, _), scores in rows.items()}
    pairs = [*((arm, "e2e") for arm in by_arm if arm != "e2e"), *REFERENCES]
    comparisons = compare(by_arm, pairs, report.statistics.margin)
    tested = [scores.is_tested for scores in rows.values()]
    return Block(
        stimulus=stimulus,
        affect=affect,
        available=available,
        num_participants=int(np.any(tested, axis=0).sum()) if tested else 0,
        arms=tuple(
            ArmSummary(
                arm=arm,
                modality=modality,
                num_finished=len(scores.cells),
                num_planned=scores.num_planned,
                metrics={name: Estimate.of(draws) for name, draws in scores.draws.items()},
                by_participant=_by_participant(scores, grid),
                teacher_score=scores.teacher,
                minus_e2e=comparisons.get((arm, "e2e")),
                gap_closed=gap_closed(by_arm, arm) if report.complete else None,
            )
            for (arm, modality), scores in rows.items()
        ),
        others=tuple(comparisons[pair] for pair in REFERENCES if pair in comparisons),
    )


def _by_participant(scores: Scores, grid: Grid) -> dict[str, float]:
    """Primary metric of everybody who has one, sorted by name."""
    people = zip(grid.participants.tolist(), scores.by_participant.tolist(), strict=True)
    return {person: value for person, value in people if not isnan(value)}
