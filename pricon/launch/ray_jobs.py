"""A Ray cluster that somebody else has started, reached by its Jobs API.

The same driver runs there as on Kubernetes, as the entrypoint of a Ray job; its log is read again
and again from where reading stopped, so that a broken connection loses nothing.
"""

import itertools
import logging
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus
from requests.exceptions import SSLError

from pricon.errors import LaunchError
from pricon.launch.lanes import absolute
from pricon.launch.ray_dashboard import (
    Dashboard,
    NoClientError,
    Patience,
    UnwellError,
    dashboard_of,
)
from pricon.launch.submission import FACTS, Submission, handle_of
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec

_RUN = "pricon.run"
_POLL_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_DASHBOARD_HINT = (
    "give the address of its dashboard, such as `http://127.0.0.1:8265`, one that can be reached "
    "from here"
)
_LOG = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class BusyError(LaunchError):
    """The cluster did not answer, or not yet; asking again may help.

    Args:
        message: see `PriconError`.
        hint: see `PriconError`.
        after_s: how long it asks to be left alone.
    """

    def __init__(self, message: str, hint: str | None = None, after_s: float = 0.0) -> None:
        super().__init__(message, hint)
        self.after_s = after_s


class RayJobs:
    """The jobs of one Ray cluster.

    Every method raises LaunchError with words for a user: unreachable, a token is asked for,
    refused. What may be answered another time is asked again first.

    Args:
        address: `http://host:8265`, the dashboard's, or `ray://host:10001`.
        patience: with the cluster.

    Raises:
        LaunchError: nothing answers there, or it asks for a token.
    """

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self.address = address
        self.patience = patience or Patience()
        # Ray's client takes seconds where all is well.
        silent_s = self.patience.read_s if address.startswith("ray:") else None
        with _quietly():
            self.client = self._ask(self._connect, self.patience.first_s, silent_s)

    def submit(self, job: JobSpec, submission: Submission) -> tuple[str, bool]:
        """Run a job there; attach to it where it is running already.

        Folders in `job` are taken to be there as well: on one machine, or on a shared disk.

        Returns:
            The identity of the Ray job, and whether it is new.
        """
        handle = submission.handle or handle_of(job, submission.folds)
        running = self.find(handle)
        if running is not None:
            return running, False
        # One identity for all tries: a second one of a submission that did arrive is refused.
        ray_job = f"{handle}-{submission.id[:8]}"
        with tempfile.TemporaryDirectory(prefix="pricon-") as folder, _quietly():
            text = dump_job(_for_cluster(job))
            (Path(folder) / "job.yaml").write_text(text, encoding="utf-8")
            (Path(folder) / FACTS).write_text(
                replace(submission, handle=handle).facts(), encoding="utf-8"
            )
            what = {
                "entrypoint": submission.command("job.yaml"),
                "submission_id": ray_job,
                "runtime_env": {"working_dir": folder},
                "metadata": {_RUN: handle},
            }
            self._ask(lambda: self._send(ray_job, what))
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
        num_read, silent_s = 0, self.patience.read_s  # a long log takes its time
        while True:
            status = self._ask(lambda: self.client.get_job_status(ray_job), silent_s=silent_s)
            has_ended = status.is_terminal()
            log = self._ask(lambda: self.client.get_job_logs(ray_job), silent_s=silent_s)
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

    def _connect(self) -> Dashboard:
        return Dashboard(dashboard_of(self.address, self.patience), self.patience)

    def _send(self, ray_job: str, what: dict[str, Any]) -> None:
        try:
            self.client.submit_job(**what)
        except RuntimeError as err:
            if isinstance(err, UnwellError) and err.after_s:
                raise
            # Perhaps an earlier try got through, and only its answer was lost. Ray then says 500.
            if all(details.submission_id != ray_job for details in self.client.list_jobs()):
                raise

    def _ask(
        self,
        question: Callable[[], Answer],
        for_s: float | None = None,
        silent_s: float | None = None,
    ) -> Answer:
        """Ask until there is an answer; a cluster may be out of reach for a while."""
        since = time.monotonic()
        limit_s = self.patience.known_s if for_s is None else for_s
        with _told(self.patience.silent_s if silent_s is None else silent_s, self.address):
            for attempt in itertools.count():
                try:
                    return self._ask_once(question)
                except BusyError as err:
                    if err.after_s:  # so there is a cluster
                        limit_s = max(limit_s, self.patience.known_s)
                    left_s = since + limit_s - time.monotonic()
                    if left_s < 0:
                        raise
                    pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                    time.sleep(max(pause_s, min(err.after_s, left_s)))
        raise AssertionError("counting does not end")

    def _ask_once(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except NoClientError as err:
            raise BusyError(
                f"a Ray cluster answers at {self.address}, and lets no client in\n  {_gist(err)}",
                _DASHBOARD_HINT,
                err.after_s,
            ) from err
        except OSError as err:
            # A certificate, an address or an answer that makes no sense will not do so later.
            kind = LaunchError if isinstance(err, (SSLError, ValueError)) else BusyError
            raise kind(
                f"no Ray cluster answers at {self.address}\n  {_gist(err)}", _DASHBOARD_HINT
            ) from err
        except AuthenticationError as err:
            raise LaunchError(
                f"the Ray cluster at {self.address} asks for a token\n  {_gist(err)}",
                "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's token",
            ) from err
        except (RuntimeError, ValueError) as err:
            hint = "`ray job list --address ADDRESS` shows what runs there"
            words = f"the Ray cluster at {self.address} refused\n  {_gist(err)}"
            if isinstance(err, UnwellError):
                raise BusyError(words, hint, err.after_s) from err
            raise LaunchError(words, hint) from err


@contextmanager
def _told(after_s: float, address: str) -> Iterator[None]:
    """Say, once, that there is no good answer yet; a request itself may be silent for longer."""
    place = "the Ray cluster of this process" if address == "auto" else address
    words = ("no good answer from %s yet; waiting", place)
    timer = threading.Timer(after_s, _LOG.warning, words)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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


def _gist(err: Exception) -> str:
    """Its first line; of a traceback, which Ray passes on, the last."""
    first, *others = str(err).strip().splitlines() or [type(err).__name__]
    before, is_traceback, _ = first.partition("Traceback (most recent call last)")
    return (before + others[-1] if is_traceback and others else first)[:300]
