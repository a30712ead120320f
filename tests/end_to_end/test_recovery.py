"""A machine that dies: driver, Ray and workers at once, without a goodbye."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pricon.launch.events import EpochDone
from pricon.spec.dump import dump_job
from tests.end_to_end.test_interrupt import SUBMIT, lanes_train
from tests.launch.real_ray import assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse, stage_files
from tests.tiny import build, tiny_job

LONG = {"learning_rate": 1e-3, "epochs": 400, "patience": 400}


@pytest.mark.ray
def test_what_is_lost_is_what_came_after_the_last_checkpoint(
    tmp_path: Path, ray_alone: None
) -> None:
    job = build(
        tiny_job(
            tmp_path,
            target="local",
            arms=["majority", "e2e", "lupi"],
            resources={"lanes": 1, "checkpoint_interval_s": 0.1},
            optimisation={"supervised": LONG},
        )
    )
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(job), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", SUBMIT, str(file), "--no-track"],
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        start_new_session=True,
    ) as run:
        while not (lanes_train(Path(job.output)) and stage_files(job)):
            assert run.poll() is None, "ended before it was disturbed"
            time.sleep(0.05)
        kill_session(run.pid)
    finished = stage_files(job)
    commits = sorted((Path(job.output) / "checkpoints").glob("*/*.commit.json"))
    epoch = int(commits[-1].name.split("-")[1])
    listener = Listener()
    again = with_resources(job, "inprocess", Path(job.output).name)
    assert rehearse(again, listener).complete
    first = next(event for event in listener.events if isinstance(event, EpochDone))
    assert first.epoch == epoch + 1, "of a pack that was training nothing before is done again"
    assert finished.items() <= stage_files(job).items(), "what was finished is as it was"
    undisturbed = with_resources(job, "inprocess", "undisturbed")
    rehearse(undisturbed)
    assert_same_predictions(again, undisturbed)


def kill_session(leader: int) -> None:
    """Kill all processes of a session, at once."""
    listed = subprocess.run(
        ["ps", "-s", str(leader), "-o", "pid="], capture_output=True, text=True, check=False
    )
    for process in listed.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
