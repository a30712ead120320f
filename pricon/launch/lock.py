"""One submission of a job at a time, where its output is a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pricon.errors import LaunchError


@contextmanager
def only_one(output: str, job_name: str) -> Iterator[None]:
    """Hold the lock of a job's output; the system releases it when this process ends.

    Two submissions at once would train everything twice, and record it twice. In an object store
    there is no such lock: results stay right there, work is done twice.

    Raises:
        LaunchError: another submission holds it.
    """
    if "://" in output:
        yield
        return
    path = Path(output) / f".{job_name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise LaunchError(
                f"another submission of `{job_name}` is running in {Path(output).absolute()}",
                "wait for it, or give this job another `name` or `output`",
            ) from err
        yield
