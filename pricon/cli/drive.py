"""`pricon drive JOB`: what a cluster runs. Prints bulletins; people read them by `pricon logs`."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pricon.cli.arguments import parse_folds
from pricon.cli.progress import Progress, building
from pricon.launch.bulletins import Bulletin, ProgressBulletin, write
from pricon.launch.drive import drive
from pricon.launch.preflight import Prepared
from pricon.launch.run_log import Say
from pricon.launch.submission import Submission
from pricon.report.summary import Report
from pricon.report.tables import terminal
from pricon.spec.job import JobSpec
from pricon.track.open import no_tracker, open_tracker
from pricon.track.tracker import Tracker

_LINE_EVERY_S = 60.0
"""A kubelet keeps the last ten megabytes of a log: a run of a week must fit into them."""
_WIDTH = 100
"""Columns of tables; a log has no terminal whose width could be asked for."""


def drive_job(
    job: Annotated[Path, typer.Argument(help="Complete job file, as `pricon-submit` sends it.")],
    submission: Annotated[str, typer.Option(help="Identity of the submission; a retry has it.")],
    only_folds: Annotated[str | None, typer.Option(help="As of pricon-submit.")] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="As of pricon-submit.")] = False,
    no_track: Annotated[bool, typer.Option("--no-track", help="As of pricon-submit.")] = False,
    gives_up: Annotated[
        bool, typer.Option("--give-up", help="Have the Ray job stopped after a failure for good.")
    ] = False,
) -> int:
    """Run a job on the machine or Ray cluster that this process belongs to, told in bulletins.

    Exit codes: as `pricon-submit`.
    """
    asked = Submission(id=submission, folds=parse_folds(only_folds), reruns=rerun)
    track = (lambda _: no_tracker()) if no_track else _tracker
    if not gives_up:
        return drive(job, asked, _say, _Words, track)
    from pricon.launch.giving_up import give_up  # imports ray

    return drive(job, asked, _say, _Words, track, lambda: give_up(submission))


def _say(bulletin: Bulletin) -> None:
    sys.stdout.write(f"{write(bulletin)}\n")
    sys.stdout.flush()


class _Lines(io.TextIOBase):
    """A file that says each line written to it."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def write(self, text: str) -> int:
        for line in filter(None, map(str.strip, text.splitlines())):
            self.say(ProgressBulletin(text=line))
        return len(text)


class _Words:
    """See `Words`."""

    def __init__(self, say: Say) -> None:
        self.console = Console(file=_Lines(say), width=_WIDTH)  # type: ignore[arg-type]  # writes only
        self.building = building(self.console)

    def view(self, prepared: Prepared) -> Progress:
        then = "writing the report"
        return Progress(prepared.plan, prepared.job, self.console, then, every_s=_LINE_EVERY_S)

    def table(self, report: Report) -> str:
        console = Console(file=io.StringIO(), width=_WIDTH)
        with console.capture() as capture:
            console.print(terminal(report))
        return capture.get()


def _tracker(job: JobSpec) -> Tracker:
    """The cluster's server. What it misses while it is down is sent when it is back."""
    if job.tracking.uri is None:
        return no_tracker()
    folder = Path(tempfile.gettempdir()) / "pricon"
    return open_tracker(job.tracking.uri, folder, folder / job.name / "tracking.jsonl")
