"""The driver of a submission on a cluster: a job from its corpus to its report, told in bulletins.

A cluster may start it again, after losing its machine or because KubeRay retries whatever failed.
Finished stages are then passed over; an end that trying again would only repeat is on record, and
is repeated in words instead.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pricon.errors import CorpusError, StorageError
from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ReportBulletin,
    TrialBulletin,
    read,
    write,
)
from pricon.launch.events import Event, LaneDone
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.submission import Submission
from pricon.launch.submit import View, approved_corpus, run, run_storage
from pricon.report.results import TrialResult
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.spec.load import load_job
from pricon.storage import Storage, open_storage
from pricon.track.tracker import Tracker

Say = Callable[[Bulletin], None]


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


def drive(job_file: Path, submission: Submission, say: Say, words: Words, track: "Track") -> int:
    """Run the job in `job_file`; its exit code, which is also in the last bulletin.

    Args:
        job_file: complete: addresses as this machine reaches them.
        submission: whose driver this is.
        say: told every bulletin.
        words: of the command line.
        track: opens the tracker of a job.
    """
    ends: Storage | None = None
    try:
        job = load_job(job_file)
        ends = open_storage(job.output, job.storage).child(f"{job.name}/submissions")
        end = _recorded(ends, submission)
        if end is None:
            is_first = ends.create(f"{submission.id}.begun", b"")
            # What an attempt before this one has trained again need not be trained once more.
            own = replace(submission, reruns=submission.reruns and is_first)
            end = _drive(job, own, say, words, track)
    except BaseException as err:
        end = EndBulletin.of_error(err)
        if end.cause == "defect":
            say(end)
            _record(ends, submission, end)
            raise
    _record(ends, submission, end)
    say(end)
    return end.exit_code


Track = Callable[[JobSpec], Tracker]


def _drive(
    job: JobSpec, submission: Submission, say: Say, words: Words, track: Track
) -> EndBulletin:
    corpus = approved_corpus(job, submission.folds, words.building)
    prepared = prepare(job, corpus, submission.folds)
    folder = run_storage(job, prepared.plan)
    say(PlanBulletin.of(prepared.plan, folder.uri))
    view = _Telling(say, words.view(prepared))
    tracker = track(job)
    try:
        report = run(prepared, corpus, tracker, view, rerun=submission.reruns)
    finally:
        tracker.close()
    uri = f"{folder.uri}/report.html"
    say(ReportBulletin(text=words.table(report), complete=report.complete, uri=uri))
    return _end(report, view)


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
    """A view that also says every trial, once."""

    def __init__(self, say: Say, view: View) -> None:
        self.say = say
        self.view = view
        self.ended: dict[int, LaneDone] = {}

    def __enter__(self) -> "_Telling":
        self.view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.view.__exit__(kind, error, trace)

    def finished(self, result: TrialResult) -> None:
        self.say(TrialBulletin.of(result))
        self.view.finished(result)

    def listen(self, event: Event) -> None:
        if isinstance(event, LaneDone) and event.error is not None:
            self.ended[event.lane] = event
        self.view.listen(event)


def _recorded(ends: Storage, submission: Submission) -> EndBulletin | None:
    """How this submission ended before, where that was for good."""
    try:
        text = ends.read(f"{submission.id}.json").decode()
    except StorageError:
        raise
    except CorpusError:
        return None
    end = read(text)
    return end if isinstance(end, EndBulletin) else None


def _record(ends: Storage | None, submission: Submission, end: EndBulletin) -> None:
    """Put an end on record that another try would only repeat."""
    if ends is None or end.cause in {"infrastructure", "interrupted"}:
        return
    with suppress(CorpusError):  # then a retry finds out for itself
        ends.write(f"{submission.id}.json", write(end).encode())
