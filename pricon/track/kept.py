"""The log of a run's driver as MLflow keeps it, where it outlives all pods. Loads MLflow late."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.explain import public

if TYPE_CHECKING:
    from pricon.track.client import MlflowClient, Run

HANDLE = "pricon.handle"
"""Tag of a run that a cluster made: its name there."""
LOG = "pricon.log"
"""Tag of a run: name of the newest log of its driver, which is an artifact: see `log_path`."""
_HANDLE = re.compile(r"[a-z0-9-]+")
"""Of anything else no run is; in a search it might mean something."""


def log_path(name: str) -> str:
    """Of the artifact.

    >>> log_path("0f3c.0.log")
    'logs/0f3c.0.log'
    """
    return f"logs/{name}"


def kept_log(uri: str, handle: str) -> list[str] | None:
    """Lines of the newest log of a run; None where MLflow knows no log of it.

    Args:
        uri: of the tracking server; user name and password as MLflow's own client takes them.
        handle: of the run.

    Raises:
        LaunchError: unreachable, unauthorised, forbidden, or no MLflow server.
    """
    from pricon.track.client import open_client, translated

    if not _HANDLE.fullmatch(handle):
        return None
    client = open_client(uri)
    try:
        with translated(uri):
            return _read(client, handle)
    except RecordRefusedError as err:
        raise LaunchError(f"tracking server {public(uri)} refused: {err}") from err


def _read(client: "MlflowClient", handle: str) -> list[str] | None:
    run = _newest(client, handle)
    if run is None:
        return None
    with TemporaryDirectory(prefix="pricon-") as folder:
        path = log_path(run.data.tags[LOG])
        file = Path(client.download_artifacts(run.info.run_id, path, folder))
        return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _newest(client: "MlflowClient", handle: str) -> "Run | None":
    """The last run with this handle that has a log: on another corpus a job has another run."""
    found = client.search_runs(
        [*_experiments(client)],
        f"tags.`{HANDLE}` = '{handle}' AND tags.`{LOG}` LIKE '%'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return found[0] if found else None


def _experiments(client: "MlflowClient") -> Iterator[str]:
    """Identities of all that this user may see; a handle does not tell the name of its job."""
    token = None
    while True:
        page = client.search_experiments(max_results=1000, page_token=token)
        yield from (experiment.experiment_id for experiment in page)
        token = page.token
        if not token:
            return
