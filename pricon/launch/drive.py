"""The driver of a submission on a cluster: a job from its corpus to its report, told in bulletins.

A cluster may start it again, after losing its machine. Finished stages are then passed over. An end
that trying again would only repeat is on record, and is repeated in words, should that happen.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pricon.launch.bulletins import (
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    TrialBulletin,
)
from pricon.launch.events import Event, LaneDone, LaneRestarted, NodesHeld, PackBegun, StagesDone
from pricon.launch.meter import Meter, Sharer
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.run_log import RunLog, Say
from pricon.launch.submission import Submission, check_submitter, handle_in, read_facts
from pricon.launch.submit import View, approved_corpus, run, run_storage
from pricon.launch.usage import is_counted, price_in
from pricon.plan.plan import Plan
from pricon.report.results import TrialResult
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.spec.load import load_job
from pricon.storage import open_storage
from pricon.track.tracker import Tracker

Track = Callable[[JobSpec], Tracker]

_USED_EVERY_S = 60.0
"""So often is told what a run takes: of an attempt that is lost so much is not counted."""
_TRACKING_PATIENCE_S = 600.0
"""At the end of a run that is counted: its pods go then, and the tracker's journal with them. A
server whose pod moves to another node waits for its volume: some clouds let go after six minutes.
"""


class Words(Protocol):
    """How a run is put into words: what the command line lends to a driver."""

    def building(self, done: int, total: int) -> None:
        """Units of the corpus are built."""
        ...

    def view(self, prepared: Prepared) -> View:
        """What shows the run while it works."""
        ...

    def table(self, report: Report) -> str:
        """What a terminal shows of a report."""
        ...


def drive(
    job_file: Path,
    submission: Submission,
    say: Say,
    words_for: Callable[[Say], Words],
    track: Track,
    give_up: Callable[[], object] = lambda: None,
) -> int:
    """Run the job in `job_file`; its exit code, which is also in the last bulletin.

    Args:
        job_file: complete: addresses as this machine reaches them.
        submission: whose driver this is.
        say: told every bulletin.
        words_for: words of the command line, which say by this how far the run is.
        track: opens the tracker of a job.
        give_up: called after the last bulletin of a failure that another try would only repeat.
    """
    log = RunLog(say, submission)
    try:
        end = _attempt(job_file, submission, log, words_for(log.say), track)
    except BaseException as err:
        end = EndBulletin.of_error(err)
        if end.cause == "defect":
            log.close(end)
            give_up()
            raise
    log.close(end)
    if end.exit_code and end.is_final:
        give_up()
    return end.exit_code


def _attempt(
    job_file: Path, submission: Submission, log: RunLog, words: Words, track: Track
) -> EndBulletin:
    facts = read_facts(job_file)
    check_submitter(facts)  # before the job's keys: those of another version may be others
    job = load_job(job_file)
    folder = open_storage(job.output, job.storage).child(f"{job.name}/submissions")
    before = log.open(folder)
    handle = handle_in(facts)
    meter = None
    if handle is not None and is_counted(facts):
        meter = Meter(folder.child(f"used/{handle}"), log.attempt, price_in(facts))
        if (used := meter.told()).pod_hours:
            log.say(used)
    if before is not None:
        return before
    is_first = folder.create(f"{submission.id}.begun", b"")
    # What an attempt before this one has trained again need not be trained once more.
    reruns = submission.reruns and is_first
    own = replace(submission, reruns=reruns, handle=handle)
    return _drive(job, own, log, words, track, meter)


def _drive(
    job: JobSpec,
    submission: Submission,
    log: RunLog,
    words: Words,
    track: Track,
    meter: Meter | None,
) -> EndBulletin:
    corpus = approved_corpus(job, submission.folds, words.building)
    prepared = prepare(job, corpus, submission.folds)
    folder = run_storage(job, prepared.plan)
    log.say(PlanBulletin.of(prepared.plan, folder.uri))
    view = _Telling(log.say, words.view(prepared), prepared.plan, meter)
    tracker = track(job)
    try:
        report = run(prepared, corpus, tracker, view, rerun=submission.reruns, meter=meter)
    except BaseException as err:
        try:
            log.hand_to(tracker, submission.handle, EndBulletin.of_error(err))
        finally:
            tracker.close()
        raise
    end = _end(report, view)
    patience_s = 0.0  # who is told to stop has seconds
    try:  # all is found: who is stopped now has ended well, and the journal has the records
        with suppress(KeyboardInterrupt):
            uri = f"{folder.uri}/report.html"
            log.say(ReportBulletin(text=words.table(report), complete=report.complete, uri=uri))
            if tracker.is_behind:
                log.say(ProgressBulletin(text="recording in MLflow what it has not heard yet"))
            log.hand_to(tracker, submission.handle, end)
            if meter is not None and end.is_final:  # else another attempt records all again
                patience_s = _TRACKING_PATIENCE_S
    finally:
        with suppress(KeyboardInterrupt):
            tracker.close(patience_s)
    return end


def _end(report: Report, view: "_Telling") -> EndBulletin:
    """Done, or what is missing and whether to try again."""
    if not report.unfinished:
        return EndBulletin(exit_code=0, cause="done")
    missing = f"{len(report.unfinished)} of {len(report.trials)} trials have no result"
    for lane, done in sorted(view.ended.items()):
        missing += f"\n  lane {lane}: {done.error}"
    is_lost = any(done.lost for done in view.ended.values())
    return EndBulletin(
        exit_code=3 if is_lost else 1,
        cause="infrastructure" if is_lost else "trials",
        message=missing,
        hint="submit again: finished trials are kept",
    )


class _Telling:
    """A view that also says every trial, once, and what lanes train."""

    def __init__(self, say: Say, view: View, plan: Plan, meter: Meter | None) -> None:
        self.say = say
        self.view = view
        self.plan = plan
        self.meter = meter
        self.used_told_at = time.monotonic()
        self.ended: dict[int, LaneDone] = {}
        self.known: set[str] = set()  # trials with a result
        self.training: dict[int, tuple[Sharer, ...]] = {}

    def __enter__(self) -> "_Telling":
        self.view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tell_usage(is_last=True)
        self.view.__exit__(kind, error, trace)

    def finished(self, result: TrialResult) -> None:
        self.known.add(result.trial.id)
        self.say(TrialBulletin.of(result))
        self.view.finished(result)

    def listen(self, event: Event) -> None:
        match event:
            case PackBegun(lane=lane, stages=stages):
                self.training[lane] = self._sharers_of(stages)
                self.say(TrainingBulletin(lane=lane, trials=_counted(self.training[lane])))
            case StagesDone(lane=lane) | LaneDone(lane=lane) | LaneRestarted(lane=lane) if (
                lane in self.training
            ):
                del self.training[lane]
                self.say(TrainingBulletin(lane=lane, trials={}))
            case NodesHeld() if self.meter is not None:
                self.meter.add(event, self.training.values())
                if time.monotonic() - self.used_told_at > _USED_EVERY_S:
                    self._tell_usage(is_last=False)
        if isinstance(event, LaneDone) and event.error is not None:
            self.ended[event.lane] = event
        self.view.listen(event)

    def _tell_usage(self, *, is_last: bool) -> None:
        if self.meter is not None:
            self.say(self.meter.told(is_last=is_last))
        self.used_told_at = time.monotonic()

    def _sharers_of(self, stages: Sequence[str]) -> tuple[Sharer, ...]:
        """Trials without a result that need one of these stages."""
        trained, cells = {*stages}, self.plan.cells
        return tuple(
            Sharer.of(trial, cells[trial.cell])
            for trial in self.plan.trials
            if trial.id not in self.known and not trained.isdisjoint(trial.stages)
        )


def _counted(trials: Sequence[Sharer]) -> dict[str, dict[int, int]]:
    """Arm -> fold -> how many."""
    found = defaultdict[str, Counter[int]](Counter)
    for trial in trials:
        found[trial.arm][trial.fold] += 1
    return {arm: dict(folds) for arm, folds in found.items()}
