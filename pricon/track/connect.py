"""connect: from an address to a recorder. Loads MLflow when it is called, not before."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pricon.track.mlflow import MlflowRecorder

SQLITE = "sqlite:///"


def database_of(uri: str) -> Path | None:
    """The file of a database in a folder; None for a server.

    >>> database_of("sqlite:////data/runs/mlflow.db")
    PosixPath('/data/runs/mlflow.db')
    """
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def connect(uri: str) -> "MlflowRecorder":
    """A recorder for this address; a database is made where there is none, artifacts beside it.

    Raises:
        LaunchError: nothing that MLflow can talk with.
        OSError: the database's folder cannot be written to.
    """
    from pricon.track.mlflow import MlflowRecorder

    database = database_of(uri)
    if database is None:
        return MlflowRecorder(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    _create(database)
    return MlflowRecorder(uri, (database.parent.resolve() / "mlartifacts").as_uri())


def _create(database: Path) -> None:
    """An empty tracking database, whole or not at all, where there is none yet.

    MLflow makes its tables one by one; cut short, it leaves a database that it never opens again.
    """
    from pricon.track.mlflow import MlflowRecorder

    if database.exists():
        return
    partial = database.with_name(f".{database.name}.{os.getpid()}.partial")
    MlflowRecorder(f"{SQLITE}{partial.absolute()}")  # connecting makes the tables
    with suppress(FileExistsError):  # another job below this output was faster
        os.link(partial, database)
    partial.unlink()
