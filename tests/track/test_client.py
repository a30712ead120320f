"""MLflow's client as we load it, and what its errors become."""

import logging
import os

import pytest

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.client import MlflowException, open_client, translated

URI = "http://ada:secret@mlflow:5000"


def test_its_patience_is_short_and_nothing_is_told_to_strangers() -> None:
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert logging.getLogger("alembic").level == logging.ERROR


def test_an_address_of_nothing() -> None:
    with pytest.raises(LaunchError, match="tracking to gopher://x failed"):
        open_client("gopher://x")


def test_a_record_that_is_refused() -> None:
    with pytest.raises(RecordRefusedError, match=r"^too long$"), translated(URI):
        raise MlflowException("too long\nfor a key", error_code=1000)  # INVALID_PARAMETER_VALUE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("x failed with error code 403 != 200. Response body: Permission denied", "(403)"),
        ("x failed with exception ConnectionRefused", "does not answer"),
    ],
)
def test_a_failure_shows_no_password(said: str, expected: str) -> None:
    with pytest.raises(LaunchError) as caught, translated(URI):
        raise MlflowException(said)
    assert expected in caught.value.message
    assert "http://mlflow:5000" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_broken_connection_or_a_full_disk() -> None:
    said = "tracking to http://mlflow:5000 failed: no space left"
    with pytest.raises(LaunchError, match=said), translated(URI):
        raise OSError("no space left")
