"""The log of a run's driver as MLflow keeps it, where it outlives all pods. Loads MLflow late."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pricon.errors import LaunchError, PriconError
from pricon.track.connect import database_of
from pricon.track.explain import public
from pricon.track.records import path_of, tag_of

if TYPE_CHECKING:
    from pricon.track.client import MlflowClient, Run

_NAME = re.compile(r"[a-z0-9-]+")
"""No run has another; in a search it might mean something."""


def kept_log(uri: str, handle: str, submission: str = "") -> list[str]:
    """Lines of the newest log of a run; none where MLflow knows none.

    Args:
        uri: of the tracking server; user name and password as MLflow's own client takes them.
        handle: of the run.
        submission: only a log of this one; empty is any.

    Raises:
        LaunchError: unreachable, unauthorised, forbidden, or no MLflow server; or it has lost the
            file.
    """
    database = database_of(uri)
    if not _NAME.fullmatch(handle + submission) or (database and not database.exists()):
        return []
    from pricon.track.client import open_client, translated

    try:
        client = open_client(uri)
        with translated(uri, reads=True):
            run = _newest(client, tag_of(handle), submission)
        return [] if run is None else _read(client, run, tag_of(handle))
    except PriconError:
        raise
    except Exception as err:  # MLflow passes on what its databases and stores raise
        said = str(err).strip().splitlines() or [type(err).__name__]
        raise LaunchError(f"MLflow at {public(uri)} cannot be read: {said[0][:300]}") from err


def _newest(client: "MlflowClient", tag: str, submission: str) -> "Run | None":
    """The last run that ended with such a log: on another corpus a job has another run."""
    found = client.search_runs(
        [*_experiments(client)],
        f"tags.`{tag}` LIKE '{submission}%'",
        max_results=1,
        order_by=["attributes.end_time DESC"],
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


def _read(client: "MlflowClient", run: "Run", tag: str) -> list[str]:
    path = path_of(run.data.tags[tag])
    with TemporaryDirectory(prefix="pricon-") as folder:
        try:
            file = Path(client.download_artifacts(run.info.run_id, path, folder))
        except Exception as err:  # of whatever store the server's artifacts are in
            raise LaunchError(
                f"MLflow knows the log, and cannot give it: artifact {path} of run "
                f"{run.info.run_id}",
                "was it deleted? Artifacts that the server does not pass on need keys to their "
                "store",
            ) from err
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
