"""open_tracker: from an address to a Tracker."""

import os
from pathlib import Path

from pricon.errors import LaunchError
from pricon.track.background import BackgroundSink
from pricon.track.connect import SQLITE, database_of
from pricon.track.journal import Journal
from pricon.track.process import ProcessRecorder
from pricon.track.tracker import InMemorySink, Tracker


def open_tracker(uri: str | None, output: Path, journal: Path) -> Tracker:
    """A tracker that records into MLflow.

    Args:
        uri: tracking server or `sqlite:///path`; None means `<output>/mlflow.db`.
        output: local folder; a database of its own keeps artifacts in `<output>/mlartifacts`.
        journal: file for what cannot be delivered now; the same for every start of a run.
    """
    address = default_uri(output) if uri is None else uri
    database, recorder = database_of(address), ProcessRecorder(address)

    def check(job_name: str) -> None:
        if database is None:
            recorder.check(job_name)
        else:
            _check_folder(database)

    return Tracker(BackgroundSink(recorder, Journal(journal), check=check))


def no_tracker() -> Tracker:
    """A tracker that keeps records in memory and loses them with the process."""
    return Tracker(InMemorySink())


def default_uri(output: Path) -> str:
    """The database of a folder that runs are written to.

    >>> default_uri(Path("/data/runs"))
    'sqlite:////data/runs/mlflow.db'
    """
    return f"{SQLITE}{output.absolute() / 'mlflow.db'}"


def _check_folder(database: Path) -> None:
    """Making a database takes seconds, in which a run can begin already; this takes none."""
    if database.is_dir():
        raise LaunchError(
            f"the tracking database {database} is a folder",
            hint="set `tracking.uri` or `output` to another place",
        )
    existing = next(path for path in (database, *database.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise LaunchError(
            f"cannot write the tracking database {database}: {existing} is read-only",
            hint="set `tracking.uri` or `output` to a place you may write to",
        )
