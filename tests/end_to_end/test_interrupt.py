"""Ctrl-C in the terminal of a run on this machine, whenever it comes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pricon.spec.dump import dump_job
from tests.tiny import build, tiny_job

# Who was started in a background ignores Ctrl-C, and so do those whom they start.
SUBMIT = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from pricon.cli.main import submit_main; submit_main()"
)
ENDLESS = {"learning_rate": 1e-3, "epochs": 100_000, "patience": 100_000}


def ray_starts(output: Path) -> bool:
    """The run is in MLflow, which is just before Ray is started."""
    time.sleep(1.0)
    return bool([*output.glob("tiny/*/plan.json")])


def lanes_train(output: Path) -> bool:
    return bool([*output.glob("checkpoints/**/*.json")])


@pytest.mark.ray
@pytest.mark.parametrize(
    ("signal_number", "moment"), [(signal.SIGTERM, ray_starts), (signal.SIGINT, lanes_train)]
)
def test_an_interrupted_run_says_so_and_leaves_nothing_behind(
    moment: Callable[[Path], bool],
    signal_number: signal.Signals,
    tmp_path: Path,
    ray_alone: None,
) -> None:
    job = build(
        tiny_job(
            tmp_path,
            target="local",
            arms=["majority", "e2e", "lupi"],
            resources={"lanes": 2, "cpus_per_worker": 0.5, "checkpoint_interval_s": 0.1},
            optimisation={"supervised": ENDLESS},
        )
    )
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(job), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", SUBMIT, str(file)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    ) as run:
        try:
            while not moment(Path(job.output)):
                assert run.poll() is None, "ended before it was disturbed"
                time.sleep(0.05)
            # A terminal tells all processes that it runs, who asks politely one alone.
            (os.killpg if signal_number == signal.SIGINT else os.kill)(run.pid, signal_number)
            _, said = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 130, said
    assert said.endswith("interrupted; finished trials are kept\n\nhint: submit again to go on\n")
    assert "Traceback" not in said
    client = MlflowClient(f"sqlite:///{job.output}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert [parent.info.status for parent in parents] == ["KILLED"]
    until = time.monotonic() + 30
    while left := session(run.pid):
        assert time.monotonic() < until, left
        time.sleep(0.2)


def session(leader: int) -> list[str]:
    """Commands of the processes that still live in a session."""
    listed = subprocess.run(
        ["ps", "-s", str(leader), "-o", "args="], capture_output=True, text=True, check=False
    )
    return listed.stdout.splitlines()
