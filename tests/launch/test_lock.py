"""Only one submission of a job at a time; a dead one holds nothing."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pricon.errors import LaunchError
from pricon.launch.lock import only_one
from pricon.spec.job import JobSpec
from tests.launch.rehearsal import rehearse


def hold(folder: str, ready: Any) -> None:
    with only_one(folder, "tiny"):
        ready.set()
        signal.pause()


def test_a_second_submission_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    other = spawn.Process(target=hold, args=(str(tmp_path), ready))
    other.start()
    try:
        assert ready.wait(60)
        with (
            pytest.raises(LaunchError, match="another submission of `tiny` is running") as caught,
            only_one(str(tmp_path), "tiny"),
        ):
            pass
        assert caught.value.exit_code == 3
        with only_one(str(tmp_path), "another-job"):
            pass
    finally:
        if other.pid is not None:
            os.kill(other.pid, signal.SIGKILL)
        other.join()
    with only_one(str(tmp_path), "tiny"):
        pass


def test_an_object_store_has_no_lock() -> None:
    with only_one("s3://bucket/runs", "tiny"), only_one("s3://bucket/runs", "tiny"):
        pass


def test_a_run_takes_it(job: JobSpec) -> None:
    """A submission that is refused writes nothing."""
    rehearse(job.model_copy(update={"arms": ("majority",)}))
    before = [*Path(job.output).rglob("*")]
    with only_one(job.output, job.name), pytest.raises(LaunchError, match="another submission"):
        rehearse(job.model_copy(update={"arms": ("majority", "e2e")}))
    assert [*Path(job.output).rglob("*")] == before
