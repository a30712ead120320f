"""JobSpec + corpus summary -> Plan."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import product
from typing import Any

from pricon.errors import PlanError
from pricon.plan.folds import split_participants
from pricon.plan.grid import job_at, points_of
from pricon.plan.identity import identity
from pricon.plan.plan import CLASS_STAGES, UNTOUCHED, Cell, Lane, Plan, Setting, Stage, Trial
from pricon.plan.stages import chain, deployed_modalities, stages_of
from pricon.plan.summary import CorpusSummary
from pricon.spec.job import JobSpec
from pricon.spec.label import LabelSpec, customary_label


def plan_trials(
    job: JobSpec, corpus: CorpusSummary, only_folds: tuple[int, ...] | None = None
) -> Plan:
    """Everything that `job` asks for on this corpus.

    Args:
        job: what was asked.
        corpus: what there is.
        only_folds: plan these folds alone; None means all.

    Raises:
        PlanError: the corpus lacks a modality, stimulus, affect or participants that the job needs,
            or the job has a label rule that no stage would look at.
    """
    _check_names(job, corpus)
    whole = _cells(job, corpus)
    cells = _only(whole, only_folds)
    grid = points_of(job)
    jobs = [job_at(job, point) for point in grid] or [job]
    stages: dict[str, Stage] = {}
    trials = [
        trial
        for index, cell in enumerate(cells)
        for trial in _trials_of(cell, index, jobs, corpus.digest, stages)
    ]
    _check_label_rule(job, stages.values())
    return Plan(
        run_id=_run_id(job, trials, grid),
        job_name=job.name,
        corpus_digest=corpus.digest,
        generated=corpus.generated,
        num_cells_of_job=len(whole),
        cells=cells,
        stages=tuple(stages.values()),
        trials=tuple(trials),
        lanes=_deal_lanes(len(cells), job.resources.lanes),
        grid=grid,
        task=job.task,
    )


def _run_id(job: JobSpec, trials: Iterable[Trial], grid: Sequence[Setting]) -> str:
    """Of everything that a report depends on: a grid's also on the point that others lead by."""
    content: list[Any] = [job.name, sorted(trial.id for trial in trials)]
    return identity([*content, grid[0].to_dict()] if grid else content)


def _check_label_rule(job: JobSpec, stages: Iterable[Stage]) -> None:
    """A rule that only the corpus' custom gives may go unused; one that somebody wrote may not."""
    is_used = any(stage.objective in CLASS_STAGES for stage in stages)
    if is_used or job.task == "classification":
        return
    if job.label != customary_label(LabelSpec(), job.corpus):
        raise PlanError(
            "`label` would be ignored: under `task: regression` only contrastive stages see "
            "classes, and no arm of the job has one",
            "remove `label`, or add an arm such as `pricon` to `arms`",
        )


def _check_names(job: JobSpec, corpus: CorpusSummary) -> None:
    for name in job.modalities.everything:
        _check_known(name, corpus.modalities, "modality", "modalities")
    for name in job.stimuli:
        _check_known(name, corpus.stimuli, "stimulus", "stimuli")
    for name in job.affects:
        _check_known(name, corpus.affects, "affect", "affects")


def _check_known(name: str, known: Iterable[str], noun: str, key: str) -> None:
    names = sorted(known)
    if name in names:
        return
    near = get_close_matches(name, names, n=1)
    raise PlanError(
        f"the corpus has no {noun} `{name}` (key `{key}`)\n  it has: {', '.join(names)}",
        f"did you mean `{near[0]}`?" if near else f"mend `{key}` in the job file",
    )


def _cells(job: JobSpec, corpus: CorpusSummary) -> tuple[Cell, ...]:
    stimuli = tuple(sorted(job.stimuli)) or corpus.stimuli
    people = tuple(sorted(corpus.participants_of(stimuli)))
    groups = [(name,) for name in stimuli] if job.stimulus_models == "each" else [stimuli]
    splits = {seed: split_participants(people, job.folds, seed) for seed in job.seeds}
    cells = []
    for group in groups:
        present = corpus.participants_of(group)
        folds = range(len(splits[job.seeds[0]]))
        for affect, fold, seed in product(job.affects, folds, job.seeds):
            split = splits[seed][fold]
            cell = Cell(stimuli=group, affect=affect, fold=fold, seed=seed, split=split)
            _check_present(cell, present)
            cells.append(cell)
    return tuple(cells)


def _check_present(cell: Cell, present: frozenset[str]) -> None:
    for part in ("train", "validation", "test"):
        if not present.intersection(getattr(cell.split, part)):
            raise PlanError(
                f"fold {cell.fold} (seed {cell.seed}) has no {part} participant "
                f"with a recording of `{cell.stimulus}`",
                "lower `folds.count`, raise `folds.validation_minimum`, or leave this stimulus out",
            )


def _only(cells: tuple[Cell, ...], folds: tuple[int, ...] | None) -> tuple[Cell, ...]:
    if folds is None:
        return cells
    known = {cell.fold for cell in cells}
    unknown = [fold for fold in folds if fold not in known]
    if unknown:
        raise PlanError(
            f"there is no fold {unknown[0]}; the job has folds 0 to {max(known)}",
            "give `--only-folds` numbers of existing folds, such as `--only-folds 0,1`",
        )
    return tuple(cell for cell in cells if cell.fold in folds)


def _trials_of(
    cell: Cell, index: int, jobs: Sequence[JobSpec], digest: str, stages: dict[str, Stage]
) -> Iterable[Trial]:
    """Trials of one cell; their stages are added to `stages`, shared ones once.

    Args:
        cell: where they stand.
        index: of the cell.
        jobs: the job at each point of its grid, or the job alone. Points that make no difference to
            an arm have the same stages, so they are one trial.
        digest: of the corpus.
        stages: of all trials so far.
    """
    job = jobs[0]
    everything = job.modalities.everything
    sets = tuple(tuple(sorted(entry)) for entry in job.modalities.available)
    known: set[str] = set()
    for arm in job.arms:
        for available in deployed_modalities(arm, sets, everything):
            link = chain(arm, available, everything, job.task)
            for at_point in jobs:
                links = stages_of(link, cell, index, at_point, digest)
                trial_id = identity([arm, links[-1].id])
                if trial_id in known:
                    continue
                known.add(trial_id)
                stages.update({stage.id: stage for stage in links})
                touched = UNTOUCHED
                if job.sensitivity is not None:
                    touched = Setting.union(stage.setting for stage in links)
                yield Trial(
                    id=trial_id,
                    arm=arm,
                    available=available,
                    cell=index,
                    stages=tuple(stage.id for stage in links),
                    setting=touched,
                )


def _deal_lanes(num_cells: int, num_lanes: int) -> tuple[Lane, ...]:
    """Cells dealt one by one, so that every lane gets its share of each stimulus and fold."""
    lanes = (tuple(range(first, num_cells, num_lanes)) for first in range(num_lanes))
    return tuple(Lane(index=i, cells=cells) for i, cells in enumerate(lanes) if cells)
