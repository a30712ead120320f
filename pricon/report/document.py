"""results.json: the report for programs.

Keys (every number may be null: not defined by these trials):

    schema_version   2
    task             classification or regression
    primary          the metric that arms are compared by: accuracy, or ccc (Lin's concordance
                     correlation coefficient of each participant, mean over participants)
    job, run_id      the job's name and the hash of its trials
    corpus_digest    SHA-256 of the corpus' manifest
    generated        true: written by a generator, says nothing about people
    complete         true: every trial of the whole job finished
    folds_asked      null, or the folds that were asked for instead of all
    missing, failed  ids of the trials that are; all of them
    judged_on        whose participants judged the trials: test; validation where a job has a grid
    verdict          sentences; empty unless complete
    arms             one entry a stimulus, affect, available set and arm; none of a job with a grid:
        stimulus, affect, available, arm, modality, num_participants, num_finished, num_planned
        metrics      name -> {mean, low, high}: mean over folds, then seeds; 95 % interval.
                     accuracy, balanced_accuracy, macro_f1, auroc; or ccc, ccc_pooled (of all
                     windows of a fold at once), rmse (in the unit of the annotation), pearson
        by_participant  participant -> primary metric over all of their windows, mean over seeds;
                     nobody whose annotation is constant has a ccc
        teacher_score  primary metric of the arm's teachers on the same windows; null for arms
                     without one
        minus_e2e    null, or a comparison
        gap_closed   null, or {share, low, high, num_without_gap, num_resamples}
    comparisons      of two arms other than e2e, with the keys stimulus, affect and available
    surfaces         of a job with a grid, one entry a stimulus, affect, available set, taught arm:
        stimulus, affect, available, arm, num_participants
        own          a setting: the job's own, as far as it touches the arm
        points       one entry a setting, the job's own first: setting, num_finished, num_planned,
                     score {mean, low, high}: primary metric, minus_e2e (null, or {mean, low, high})
        choice       null, or best (a setting), by_fold {fold: a setting}, gain {mean, low, high},
                     held_out_gain, sd_settings, sd_chance (see `surface.Choice`)
    equivalence_margin  arms whose primary metric differs by less are comparable (TOST)
    folds            one entry a stimulus, affect and fold, means over seeds:
        stimulus, affect, fold
        num_windows  {train, validation, test, dropped}: windows with a label by split, and those
                     that are ambiguous or, under regression, not annotated
        share_high   {train, validation, test}: share of class high among them; and
        majority_accuracy  test accuracy of always predicting the training majority; or
        affect_mean, affect_sd  {train, validation, test}; and
        constant_rmse  test RMSE of always predicting the training mean
    trials           one entry a trial: trial_id, arm, modality, the keys of a setting, stimulus,
                     affect, fold, seed, status, error, num_windows, and the metrics by name

A setting: distillation_weight, distillation_temperature, contrastive_temperature; null where it
does not touch the arm, or the job has no grid.

A comparison: arm, reference, difference {mean, low, high}, by_seed [difference of each seed, mean
over folds], num_participants, p_value, rank_biserial, p_holm, p_fold_seed, smallest_detectable,
p_equivalent (see `summary.Comparison`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isnan
from typing import Any

from pricon.report.estimate import Estimate
from pricon.report.summary import (
    ArmSummary,
    Block,
    Comparison,
    FoldSummary,
    GapClosed,
    Report,
    TrialRow,
)
from pricon.report.surface import Surface
from pricon.report.yardstick import Yardstick
from pricon.spec.task import Task

SCHEMA_VERSION = 2


def to_json(report: Report) -> bytes:
    """results.json; the same report gives the same bytes."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "task": report.task,
        "primary": report.yardstick.primary,
        "job": report.job_name,
        "run_id": report.run_id,
        "corpus_digest": report.corpus_digest,
        "generated": report.generated,
        "complete": report.complete,
        "folds_asked": report.folds_asked,
        "missing": [r.trial.id for r in report.unfinished if r.status == "missing"],
        "failed": [r.trial.id for r in report.unfinished if r.status == "failed"],
        "judged_on": report.judged_on,
        "verdict": report.verdict,
        "arms": [_arm(block, row) for block in report.blocks for row in block.arms],
        "comparisons": [
            _place(block) | _comparison(comparison)
            for block in report.blocks
            for comparison in block.others
        ],
        "surfaces": [_surface(surface) for surface in report.surfaces],
        "equivalence_margin": report.statistics.margin,
        "folds": [_fold(fold, report.task) for fold in report.folds],
        "trials": [trial_columns(row, report.yardstick) for row in report.trials],
    }
    return (json.dumps(_without_nan(document), indent=1, allow_nan=False) + "\n").encode()


def trial_columns(row: TrialRow, yardstick: Yardstick) -> dict[str, str | int | float | None]:
    """One trial, flat: a row of trials.parquet and an entry of `trials`; NaN where undefined."""
    trial, cell = row.result.trial, row.result.cell
    metrics = row.metrics.to_dict() if row.metrics is not None else {}
    return {
        "trial_id": trial.id,
        "arm": trial.arm,
        "modality": trial.modality,
        **trial.setting.to_dict(),
        "stimulus": cell.stimulus,
        "affect": cell.affect,
        "fold": cell.fold,
        "seed": cell.seed,
        "status": row.result.status,
        "error": row.result.error,
        "num_windows": row.metrics.num_windows if row.metrics is not None else None,
        **{name: metrics.get(name) for name in yardstick.metrics},
    }


def _place(block: Block) -> dict[str, Any]:
    return {"stimulus": block.stimulus, "affect": block.affect, "available": block.available}


_NOT_OF: Mapping[Task, frozenset[str]] = {
    "classification": frozenset({"affect_mean", "affect_sd", "constant_rmse"}),
    "regression": frozenset({"share_high", "majority_accuracy"}),
}
"""Keys of a fold that a task does not define."""


def _fold(fold: FoldSummary, task: Task) -> dict[str, Any]:
    return {key: value for key, value in asdict(fold).items() if key not in _NOT_OF[task]}


def _arm(block: Block, row: ArmSummary) -> dict[str, Any]:
    return {
        **_place(block),
        "arm": row.arm,
        "modality": row.modality,
        "num_participants": block.num_participants,
        "num_finished": row.num_finished,
        "num_planned": row.num_planned,
        "metrics": {name: _estimate(seen, "mean") for name, seen in row.metrics.items()},
        "by_participant": row.by_participant,
        "teacher_score": row.teacher_score,
        "minus_e2e": None if row.minus_e2e is None else _comparison(row.minus_e2e),
        "gap_closed": None if row.gap_closed is None else _gap(row.gap_closed),
    }


def _surface(surface: Surface) -> dict[str, Any]:
    choice = surface.choice
    points = [
        {
            "setting": point.setting.to_dict(),
            "num_finished": point.num_finished,
            "num_planned": point.num_planned,
            "score": _estimate(point.score, "mean"),
            "minus_e2e": None if point.minus_e2e is None else _estimate(point.minus_e2e, "mean"),
        }
        for point in surface.points
    ]
    return {
        **{key: getattr(surface, key) for key in ("stimulus", "affect", "available", "arm")},
        "num_participants": surface.num_participants,
        "own": surface.own.to_dict(),
        "points": points,
        "choice": None
        if choice is None
        else asdict(choice) | {"gain": _estimate(choice.gain, "mean")},
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return asdict(comparison) | {"difference": _estimate(comparison.difference, "mean")}


def _gap(gap: GapClosed) -> dict[str, Any]:
    counts = {"num_without_gap": gap.num_without_gap, "num_resamples": gap.num_resamples}
    return _estimate(gap.share, "share") | counts


def _estimate(seen: Estimate, name: str) -> dict[str, float]:
    return {name: seen.value, "low": seen.low, "high": seen.high}


def _without_nan(value: Any) -> Any:
    """The same document with null in place of NaN, which JSON does not know."""
    if isinstance(value, float) and isnan(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
