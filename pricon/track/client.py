"""MLflow's own client, imported here and nowhere else: its settings, and its errors in our words.

Loading takes seconds: import it late.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

# Read by MLflow while it is imported, or at every call. What the user has set stays.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Else a server sends whoever reads an artifact to its object store, which only it may reach.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of 7, minutes long: the journal is our patience
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}.items():
    os.environ.setdefault(_name, _value)  # noqa: TID251 - MLflow has no other place for these

from mlflow import MlflowClient
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.explain import explain, public

__all__ = [
    "DatasetEntity",
    "DatasetInput",
    "InputTag",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Param",
    "Run",
    "RunTag",
    "open_client",
    "status_of",
    "translated",
]


def _quieten() -> None:
    """MLflow's migrations and urllib3's retries are no news for a user; our own warning is."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("urllib3.connectionpool").addFilter(
        lambda record: "/mlflow" not in record.getMessage()
    )


_quieten()


def open_client(uri: str) -> MlflowClient:
    """MLflow's client for an address.

    Raises:
        LaunchError: nothing that MLflow can talk with.
    """
    try:
        with translated(uri):
            if "://" in uri and not uri.startswith("http"):
                _limit_tries_of_a_database()
            return MlflowClient(tracking_uri=uri)
    except RecordRefusedError as err:
        raise LaunchError(f"tracking to {public(uri)} failed: {err}") from err


def _limit_tries_of_a_database() -> None:
    """MLflow asks a database that refuses it ten times, for 100 s; servers are asked thrice."""
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 3


@contextmanager
def translated(uri: str, *, reads: bool = False) -> Iterator[None]:
    """MLflow's errors in the words of a user of pricon, who reads or has a run recorded."""
    try:
        yield
    except MlflowException as err:
        status = status_of(err)
        if status == 400:
            raise RecordRefusedError(_first_line(err)) from err
        raise explain(public(uri), status, _first_line(err), reads=reads) from err
    except OSError as err:
        raise LaunchError(f"tracking to {public(uri)} failed: {err}") from err


def status_of(err: MlflowException) -> int:
    """The HTTP status; MLflow gives every status it does not know the code of an internal error."""
    named = re.search(r"failed with error code (\d+)", err.message or "")
    return int(named[1] if named else err.get_http_status_code())  # type: ignore[no-untyped-call]  # MLflow has no types


def _first_line(err: MlflowException) -> str:
    lines = (err.message or "").strip().splitlines()
    return lines[0][:300] if lines else type(err).__name__
