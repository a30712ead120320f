"""What the refusals of a tracking server mean for a user. Knows statuses and texts, not MLflow."""

import re

from pricon.errors import LaunchError


def public(uri: str) -> str:
    """The address without user name and password.

    >>> public("https://ada:secret@mlflow.example.org/path")
    'https://mlflow.example.org/path'
    """
    return re.sub(r"//[^/@]*@", "//", uri)


def explain(server: str, status: int, reason: str, *, reads: bool = False) -> LaunchError:
    """The error to show for an answer, or for none.

    Args:
        server: its public address.
        status: of HTTP; MLflow gives 500 where there was no answer at all.
        reason: MLflow's own words.
        reads: whether this user looks something up, and does not record a run.
    """
    wish, permission = ("read", "READ") if reads else ("write", "EDIT")
    address = "MLFLOW_TRACKING_URI" if reads else "`tracking.uri`"
    otherwise = "try again later" if reads else "submit with `--no-track`"
    if status == 401:
        return LaunchError(
            f"tracking server {server} refused user name, password or token (401)",
            hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
            "(or MLFLOW_TRACKING_TOKEN) in the environment",
        )
    if status == 403 and "Host" in reason:
        return LaunchError(
            f"tracking server {server} does not answer to this host name (403)",
            hint="the server's `--allowed-hosts` must name the host and port of `tracking.uri`",
        )
    if status == 403:
        return LaunchError(
            f"tracking server {server} forbids this user to {wish} (403): {reason}",
            hint=f"ask for permission {permission} on the job's experiment",
        )
    if "failed with exception" in reason or "timeout exception" in reason:
        return LaunchError(
            f"tracking server {server} does not answer",
            hint=f"start it, correct {address}, or {otherwise}",
        )
    if status in (404, 405):
        return LaunchError(
            f"{server} does not answer as an MLflow server ({status})",
            hint=f"check {address}",
        )
    return LaunchError(f"tracking to {server} failed: {reason}", hint=otherwise)
