"""run_plan: what a run does from first lane to report, the same on every target."""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import Corpus
from pricon.errors import TrainingError
from pricon.launch.events import Event, LaneDone, Listen, StagesDone
from pricon.launch.lanes import Assignment, Lanes
from pricon.plan.plan import Cell, Judge, Lane, Plan, Trial
from pricon.report.metrics import measure
from pricon.report.results import Curve, Predictions, TrialResult, ValuePredictions
from pricon.report.yardstick import YARDSTICKS
from pricon.spec.job import JobSpec
from pricon.train.records import Records, StageFacts, StageRecord

_RECORDS_IN_MEMORY = 16
"""At once, with their arrays."""


@dataclass(slots=True)
class Ledger:
    """What is known of every trial; the records in storage are the truth, this is its reading.

    Args:
        plan: what runs.
        corpus: whose windows the predictions are about.
        records: finished stages.
        failures: stage id -> why it failed for good.
        lane_errors: lane -> why it ended early.
    """

    plan: Plan
    corpus: Corpus
    records: Records
    results: dict[str, TrialResult] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    lane_errors: dict[int, str] = field(default_factory=dict)
    _facts: dict[str, StageFacts] = field(default_factory=dict)
    _scores: dict[str, float] = field(default_factory=dict)
    _indices: dict[tuple[str, ...], WindowIndex] = field(default_factory=dict)
    _tested: dict[tuple[Cell, Judge], dict[str, NDArray[Any]]] = field(default_factory=dict)

    def collect(self, trials: Iterable[Trial], committed: Set[str]) -> list[TrialResult]:
        """Results of those of `trials` that have finished since they were last looked at.

        Args:
            trials: of the plan.
            committed: ids of stages that may have a record; others are not asked for.
        """
        waiting = [
            trial
            for trial in trials
            if trial.id not in self.results and trial.stages[-1] in committed
        ]
        new = []
        for start in range(0, len(waiting), _RECORDS_IN_MEMORY):
            some = waiting[start : start + _RECORDS_IN_MEMORY]
            self._note_all({stage for trial in some for stage in trial.stages[:-1]})
            records = self.records.load_all({trial.stages[-1] for trial in some})
            for trial in some:
                record = records[trial.stages[-1]]
                if record is not None:
                    self.results[trial.id] = self._result(trial, record)
                    new.append(self.results[trial.id])
        return new

    def _note_all(self, stage_ids: Set[str]) -> None:
        """`_note` of those that were not looked at; their arrays are large, so few at a time."""
        new = sorted(stage_ids - self._facts.keys())
        for start in range(0, len(new), _RECORDS_IN_MEMORY):
            records = self.records.load_all(new[start : start + _RECORDS_IN_MEMORY])
            for record in filter(None, records.values()):
                self._note(record)

    def unfinished_lanes(self) -> tuple[Lane, ...]:
        """Lanes with a trial that has no result."""
        cells = {trial.cell for trial in self.plan.trials if trial.id not in self.results}
        return tuple(lane for lane in self.plan.lanes if cells.intersection(lane.cells))

    def made_with(self) -> list[str]:
        """With which code and on what the results were made; several after an update."""
        keys = ("git_commit", "python", "torch", "numpy", "ray", "platform", "cpus", "device")
        made = {
            ", ".join(f"{key} {facts.made_with.get(key, 'unknown')}" for key in keys)
            for facts in self._facts.values()
        }
        return sorted(made)

    def kept_features(self) -> str:
        """How many features of each modality carry something, over the folds."""
        seen: dict[str, list[tuple[int, int]]] = {}
        for facts in self._facts.values():
            for modality, counts in facts.features.items():
                seen.setdefault(modality, []).append(counts)
        return ", ".join(
            f"{name} {min(k for k, _ in counts)} to {max(k for k, _ in counts)} of "
            f"{max(n for _, n in counts)}"
            for name, counts in sorted(seen.items())
        )

    def all_results(self) -> list[TrialResult]:
        """One result a trial, in the order of the plan, whatever became of it."""
        return [self.results.get(trial.id) or self._absent(trial) for trial in self.plan.trials]

    def _result(self, trial: Trial, record: StageRecord) -> TrialResult:
        cell = self.plan.cells[trial.cell]
        self._note(record)
        curves = self._curves(trial)
        source = self.plan.stage_by_id[trial.stages[-1]].source
        is_taught = record.facts.role == "student" and source is not None
        return TrialResult(
            trial=trial,
            cell=cell,
            status="finished",
            predictions=self._predictions(cell, record, self._judge(record)),
            curves=curves,
            teacher_score=self._scores.get(source or "") if is_taught else None,
            num_windows=record.facts.num_windows,
            share_high=record.facts.share_high,
            affect=record.facts.affect,
        )

    def _note(self, record: StageRecord) -> None:
        """What is asked about a stage again after its arrays are gone."""
        # Names of all participants in every stage are most of a large run's facts.
        few = record.facts.model_copy(update={"participants": {}})
        self._facts[record.facts.stage_id] = few
        part = self._judge(record)
        if record.facts.role in ("teacher", "probe") and f"{part}_window" in record.arrays:
            cell = self.plan.cells[self.plan.stage_by_id[record.facts.stage_id].cell]
            metrics = measure(self._predictions(cell, record, part)).to_dict()
            primary = YARDSTICKS[self.plan.task].primary
            self._scores[record.facts.stage_id] = metrics[primary]

    def _judge(self, record: StageRecord) -> Judge | None:
        return self.plan.stage_by_id[record.facts.stage_id].judged_on

    def _predictions(
        self, cell: Cell, record: StageRecord, part: Judge | None
    ) -> Predictions | ValuePredictions:
        assert part is not None
        window = record.arrays[f"{part}_window"]
        known = self._tested.get((cell, part))
        if known is None or not np.array_equal(known["window"], window):
            known = self._tested[cell, part] = self._whose(
                cell, record.facts.stage_id, part, window
            )
        columns = "label", YARDSTICKS[self.plan.task].said
        said = {name: record.arrays[f"{part}_{name}"] for name in columns}
        kind = Predictions if self.plan.task == "classification" else ValuePredictions
        return kind(**known, **said)

    def _whose(
        self, cell: Cell, stage_id: str, part: Judge, window: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Who and when in the windows of a split: the same arrays for all trials of a cell."""
        if cell.stimuli not in self._indices:
            self._indices[cell.stimuli] = self.corpus.index(cell.stimuli)
        index = self._indices[cell.stimuli]
        rows = np.searchsorted(index.window, window)
        foreign = {*map(str, index.participant[rows])} - {*getattr(cell.split, part)}
        if foreign:
            raise TrainingError(
                f"leak: stage {stage_id} of {cell} was tested on {min(foreign)}, "
                f"who is not in its {part} split",
                f"remove `stages/{stage_id}.json` from the output and submit again",
            )
        return {
            "window": window,
            "participant": index.participant[rows],
            "session": index.session[rows],
            "t_start_s": index.t_start_s[rows],
        }

    def _curves(self, trial: Trial) -> tuple[Curve, ...]:
        curves = []
        for stage_id in trial.stages:
            facts = self._facts.get(stage_id)
            if facts is not None and facts.best_epoch is not None:
                curves.append(
                    Curve(
                        stage=facts.role,
                        stage_id=stage_id,
                        values=facts.curves,
                        best_epoch=facts.best_epoch,
                    )
                )
        return tuple(curves)

    def _absent(self, trial: Trial) -> TrialResult:
        reasons = [self.failures[stage] for stage in trial.stages if stage in self.failures]
        lane = self.plan.lane_by_cell[trial.cell]
        if not reasons and lane in self.lane_errors:
            reasons = [f"lane {lane}: {self.lane_errors[lane].splitlines()[0]}"]
        return TrialResult(
            trial=trial,
            cell=self.plan.cells[trial.cell],
            status="failed" if reasons else "missing",
            error=reasons[0] if reasons else None,
            num_windows={},
            share_high={},
        )


def run_plan(
    ledger: Ledger,
    job: JobSpec,
    target: Lanes,
    listen: Listen,
    finished: Callable[[TrialResult], None],
) -> list[TrialResult]:
    """Run what has not finished yet; the result of every trial, in the order of the plan.

    Args:
        ledger: knows the plan and what storage holds of it.
        job: settings.
        target: where lanes run.
        listen: told everything that lanes say.
        finished: told every trial once, when its result is committed (or was, before this run).

    Raises:
        LaunchError: nothing could be started.
        TrainingError: a committed result was tested on the wrong participants.
    """
    trials_by_last: dict[str, list[Trial]] = {}
    for trial in ledger.plan.trials:
        trials_by_last.setdefault(trial.stages[-1], []).append(trial)

    def hear(event: Event) -> None:
        match event:
            case StagesDone(committed=committed, failed=failed):
                ledger.failures.update(failed)
                done = (trials_by_last.get(stage_id, []) for stage_id in committed)
                for result in ledger.collect(chain.from_iterable(done), {*committed}):
                    finished(result)
            case LaneDone(lane=lane, error=error) if error is not None:
                ledger.lane_errors[lane] = error
        listen(event)

    for result in ledger.collect(ledger.plan.trials, ledger.records.committed_ids()):
        finished(result)
    lanes = [Assignment.of(job, ledger.plan, lane.index) for lane in ledger.unfinished_lanes()]
    if lanes:
        target.run(lanes, hear)
        # A worker that died between its commit and its message has still finished its trial.
        for result in ledger.collect(ledger.plan.trials, ledger.records.committed_ids()):
            finished(result)
    return ledger.all_results()
