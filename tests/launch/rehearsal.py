"""Runs a job as `pricon-submit` does, without terminal and MLflow."""

from pathlib import Path

from pricon.corpus.reader import open_corpus
from pricon.launch.events import Event
from pricon.launch.preflight import prepare
from pricon.launch.submit import run
from pricon.report.results import TrialResult
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.track.open import no_tracker


class Listener:
    """Keeps what a view would show."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.results: list[TrialResult] = []

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def finished(self, result: TrialResult) -> None:
        self.results.append(result)

    def listen(self, event: Event) -> None:
        self.events.append(event)


def rehearse(
    job: JobSpec,
    listener: Listener | None = None,
    only_folds: tuple[int, ...] | None = None,
    *,
    rerun: bool = False,
) -> Report:
    corpus = open_corpus(open_storage(job.corpus.uri, job.storage))
    view = listener or Listener()
    return run(prepare(job, corpus, only_folds), corpus, no_tracker(), view, rerun=rerun)


def stage_files(job: JobSpec) -> dict[str, int]:
    """Commit records of the output and when each was written, nanoseconds."""
    folder = Path(job.output) / "stages"
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.json")}
