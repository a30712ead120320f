"""A Ray cluster that somebody else has started, reached by its Jobs API.

The same driver runs there as on Kubernetes, as the entrypoint of a Ray job; its log is read again
and again from where reading stopped, so that a broken connection loses nothing.
"""

import logging
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from pricon.errors import LaunchError
from pricon.launch.lanes import absolute
from pricon.launch.submission import FACTS, Submission, handle_of
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec

_RUN = "pricon.run"
_SERVER_ERROR = re.compile(r"status code 5\d\d")
_POLL_S = 1.0
_PATIENCE_S = 60.0
"""So long a cluster may be silent before following it gives up."""

Answer = TypeVar("Answer")


class BusyError(LaunchError):
    """The cluster did not answer, or not yet; asking again may help."""


class RayJobs:
    """The jobs of one Ray cluster.

    Args:
        address: `http://host:8265`, the dashboard's, or `ray://host:10001`.

    Raises:
        LaunchError: nothing answers there, or it asks for a token.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        with _quietly():
            self.client: JobSubmissionClient = self._ask(lambda: JobSubmissionClient(address))

    def submit(self, job: JobSpec, submission: Submission) -> tuple[str, bool]:
        """Run a job there; attach to it where it is running already.

        Folders in `job` are taken to be there as well: on one machine, or on a shared disk.

        Returns:
            The identity of the Ray job, and whether it is new.
        """
        handle = handle_of(job, submission.folds)
        running = self.find(handle)
        if running is not None:
            return running, False
        with tempfile.TemporaryDirectory(prefix="pricon-") as folder, _quietly():
            text = dump_job(_for_cluster(job))
            (Path(folder) / "job.yaml").write_text(text, encoding="utf-8")
            (Path(folder) / FACTS).write_text(submission.facts(), encoding="utf-8")
            # One identity for all tries: a second one of a submission that did arrive is refused.
            ray_job = self._patiently(
                lambda: self.client.submit_job(
                    entrypoint=submission.command("job.yaml"),
                    submission_id=f"{handle}-{submission.id[:8]}",
                    runtime_env={"working_dir": folder},
                    metadata={_RUN: handle},
                )
            )
        return ray_job, True

    def find(self, handle: str) -> str | None:
        """The Ray job of a run that has not ended yet."""
        jobs: list[JobDetails] = self._ask(self.client.list_jobs)
        for details in jobs:
            is_run = (details.metadata or {}).get(_RUN) == handle
            if is_run and not details.status.is_terminal() and details.submission_id is not None:
                return str(details.submission_id)
        return None

    def find_entrypoint(self, word: str) -> str | None:
        """The Ray job that has not ended yet and whose command has this word in it."""
        jobs: list[JobDetails] = self._ask(self.client.list_jobs)
        for details in jobs:
            if not details.status.is_terminal() and word in details.entrypoint.split():
                return None if details.submission_id is None else str(details.submission_id)
        return None

    def follow(self, ray_job: str) -> Iterator[str]:
        """Lines of the driver's log, from the first to the last, each once."""
        num_read = 0
        while True:
            has_ended = self._patiently(lambda: self.client.get_job_status(ray_job)).is_terminal()
            log = self._patiently(lambda: self.client.get_job_logs(ray_job))
            whole = log if has_ended else log[: log.rfind("\n") + 1]
            yield from whole[num_read:].splitlines()
            num_read = max(num_read, len(whole))
            if has_ended:
                return
            time.sleep(_POLL_S)

    def outcome(self, ray_job: str) -> tuple[JobStatus, str]:
        """How a Ray job ended, and what Ray says about it."""
        details = self._ask(lambda: self.client.get_job_info(ray_job))
        return details.status, details.message or ""

    def stop(self, ray_job: str) -> None:
        """End a run; its finished trials are kept."""
        self._ask(lambda: self.client.stop_job(ray_job))

    def _patiently(self, question: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer; a cluster may be out of reach for a while."""
        since = time.monotonic()
        while True:
            try:
                return self._ask(question)
            except BusyError:
                if time.monotonic() - since > _PATIENCE_S:
                    raise
                time.sleep(_POLL_S)

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except (ConnectionError, OSError) as err:
            raise BusyError(
                f"no Ray cluster answers at {self.address}\n  {_first_line(err)}",
                "give the address of its dashboard, such as `http://127.0.0.1:8265`, one that can "
                "be reached from here",
            ) from err
        except AuthenticationError as err:
            raise LaunchError(
                f"the Ray cluster at {self.address} asks for a token\n  {_first_line(err)}",
                "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's token",
            ) from err
        except (RuntimeError, ValueError) as err:
            kind = BusyError if _SERVER_ERROR.search(str(err)) else LaunchError
            raise kind(
                f"the Ray cluster at {self.address} refused\n  {_first_line(err)}",
                "`ray job list --address ADDRESS` shows what runs there",
            ) from err


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Ray's own reports on connection and upload, whose levels it sets again by itself."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _for_cluster(job: JobSpec) -> JobSpec:
    corpus = job.corpus.model_copy(update={"uri": absolute(job.corpus.uri)})
    if corpus.source is not None:
        corpus = corpus.model_copy(update={"source": absolute(corpus.source)})
    if corpus.generate is not None:
        into = absolute(str(corpus.recordings))
        generate = corpus.generate.model_copy(update={"into": into})
        corpus = corpus.model_copy(update={"generate": generate})
    update = {"corpus": corpus, "output": absolute(job.output), "target": "ray"}
    return job.model_copy(update=update)


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
