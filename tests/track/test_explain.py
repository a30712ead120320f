"""Every refusal of a server names the server and a way on, and no password."""

import pytest

from pricon.track.explain import explain, public


@pytest.mark.parametrize(
    ("status", "reason", "message", "hint"),
    [
        (401, "You are not authenticated", "refused user name", "MLFLOW_TRACKING_PASSWORD"),
        (403, "Permission denied", "forbids this user to write", "permission EDIT"),
        (403, "Invalid Host header", "does not answer to this host name", "--allowed-hosts"),
        (404, "Not Found", "does not answer as an MLflow server", "tracking.uri"),
        (500, "API request to x failed with exception y", "does not answer$", "--no-track"),
        (500, "API request to x failed with timeout exception y", "does not answer$", "start it"),
        (503, "overloaded", "failed: overloaded", "--no-track"),
    ],
)
def test_what_a_refusal_means(status: int, reason: str, message: str, hint: str) -> None:
    err = explain("http://mlflow:5000", status, reason)
    with pytest.raises(type(err), match=message):
        raise type(err)(err.message)
    assert "http://mlflow:5000" in err.message
    assert hint in (err.hint or "")
    assert err.exit_code == 3


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (403, "Permission denied", "forbids this user to read (403): Permission denied"),
        (404, "Not Found", "hint: check MLFLOW_TRACKING_URI"),
        (500, "API request to x failed with exception y", "correct MLFLOW_TRACKING_URI, or try"),
        (503, "overloaded", "hint: try again later"),
    ],
)
def test_who_reads_is_told_what_a_reader_can_do(status: int, reason: str, expected: str) -> None:
    err = explain("http://mlflow:5000", status, reason, reads=True)
    assert expected in str(err)
    assert not [word for word in ("--no-track", "tracking.uri", "EDIT") if word in str(err)]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:pass@host:5000", "http://host:5000"),
        ("postgresql://u:p@db/mlflow", "postgresql://db/mlflow"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_no_password_is_shown(uri: str, shown: str) -> None:
    assert public(uri) == shown
