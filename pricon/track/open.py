"""open_tracker: from an address to a Tracker. Loads MLflow in the tracker's thread, not before."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pricon.errors import LaunchError
from pricon.track.background import BackgroundSink
from pricon.track.journal import Journal
from pricon.track.tracker import InMemorySink, Tracker

if TYPE_CHECKING:
    from pricon.track.mlflow import MlflowRecorder

_SQLITE = "sqlite:///"


def open_tracker(uri: str | None, output: Path, journal: Path) -> Tracker:
    """A tracker that records into MLflow.

    Args:
        uri: tracking server or `sqlite:///path`; None means `<output>/mlflow.db`.
        output: local folder; a database of its own keeps artifacts in `<output>/mlartifacts`.
        journal: file for what cannot be delivered now; the same for every start of a run.
    """
    address = default_uri(output) if uri is None else uri
    database = Path(address.removeprefix(_SQLITE)) if address.startswith(_SQLITE) else None

    def make_recorder() -> "MlflowRecorder":
        from pricon.track.mlflow import MlflowRecorder

        if database is None:
            return MlflowRecorder(address)
        database.parent.mkdir(parents=True, exist_ok=True)
        _create(database)
        return MlflowRecorder(address, (database.parent.resolve() / "mlartifacts").as_uri())

    def check(job_name: str) -> None:
        if database is None:
            make_recorder().check(job_name)
        else:
            _check_folder(database)

    return Tracker(BackgroundSink(make_recorder, Journal(journal), check=check))


def no_tracker() -> Tracker:
    """A tracker that keeps records in memory and loses them with the process."""
    return Tracker(InMemorySink())


def default_uri(output: Path) -> str:
    """The database of a folder that runs are written to.

    >>> default_uri(Path("/data/runs"))
    'sqlite:////data/runs/mlflow.db'
    """
    return f"{_SQLITE}{output.absolute() / 'mlflow.db'}"


def _create(database: Path) -> None:
    """An empty tracking database, whole or not at all, where there is none yet.

    MLflow makes its tables one by one; cut short, it leaves a database that it never opens again.
    """
    from pricon.track.mlflow import MlflowRecorder

    if database.exists():
        return
    partial = database.with_name(f".{database.name}.{os.getpid()}.partial")
    MlflowRecorder(f"{_SQLITE}{partial.absolute()}")  # connecting makes the tables
    with suppress(FileExistsError):  # another job below this output was faster
        os.link(partial, database)
    partial.unlink()


def _check_folder(database: Path) -> None:
    """Making a database takes seconds, which the tracker's thread can spend; this takes none."""
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
