"""How long a run takes to begin, and what a trial costs besides its training. `make bench`.

Training is as short as it can be (one epoch on 40 s of each of eight people), so that what is left
is everything else: planning, Ray, records, tracking, metrics and report.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pricon.launch.local import ENVIRONMENT
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from tests.benchmarks.table import Table, publish
from tests.tiny import build, tiny_job

ONE_EPOCH = {"learning_rate": 1e-3, "epochs": 1, "patience": 1}
SUBMIT = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from pricon.cli.main import submit_main; submit_main()"
)
DONE = "an empty run has ended"
EMPTY_RUN = f"""
import os
os.environ.update({ENVIRONMENT!r})
import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer
ray.init(address="local", include_dashboard=False, log_to_driver=False)
TorchTrainer(lambda: None, scaling_config=ScalingConfig(num_workers=1)).fit()
print("{DONE}", flush=True)
"""


def job_of(folder: Path, trials: int, arms: Sequence[str], **changes: Any) -> JobSpec:
    """A job of about so many trials over two folds, its corpus built."""
    seeds = list(range(max(1, trials // (2 * len(arms)))))
    stages = dict.fromkeys(("contrastive", "probe", "supervised"), ONE_EPOCH)
    job = tiny_job(folder, arms=arms, seeds=seeds, optimisation=stages, **changes)
    return build(job)


def submitted(job: JobSpec, folder: Path, *options: str) -> float:
    """Seconds of a whole submission that finds nothing finished."""
    shutil.rmtree(job.output, ignore_errors=True)
    return resubmitted(job, folder, *options)


def resubmitted(job: JobSpec, folder: Path, *options: str) -> float:
    """Seconds of a submission, whatever is finished."""
    file = folder / "job.yaml"
    file.write_text(dump_job(job), encoding="utf-8")
    return seconds_of([sys.executable, "-c", SUBMIT, str(file), *options])


def seconds_of(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def seconds_of_empty_run() -> float:
    """Until it has ended; that Ray then shuts down is no part of a start."""
    command = [sys.executable, "-c", EMPTY_RUN]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        while DONE.encode() not in run.stdout.readline():
            assert run.poll() is None, "an empty run of Ray Train has failed"
        taken = time.perf_counter() - started
        run.communicate()
    return taken


def seconds_to_first_epoch(job: JobSpec, folder: Path) -> float:
    """From `pricon-submit` to the first checkpoint, which follows the first epoch."""
    shutil.rmtree(job.output, ignore_errors=True)
    file = folder / "job.yaml"
    file.write_text(dump_job(job), encoding="utf-8")
    command = [sys.executable, "-c", SUBMIT, str(file), "--no-track"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        while not [*Path(job.output).glob("checkpoints/*/*")]:
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        taken = time.perf_counter() - started
        run.send_signal(signal.SIGINT)
        run.communicate()
    return taken


def start(folder: Path, rounds: int) -> Table:
    """Time to the first epoch on a Ray of our own, beside the least that Ray takes."""
    endless = {"learning_rate": 1e-3, "epochs": 100_000, "patience": 100_000}
    job = build(
        tiny_job(
            folder,
            arms=["e2e"],
            target="local",
            optimisation={"supervised": endless},
            resources={"checkpoint_interval_s": 0.001},
        )
    )
    floor, ours = [], []
    for _ in range(rounds):
        floor.append(seconds_of_empty_run())
        ours.append(seconds_to_first_epoch(job, folder))
    medians = statistics.median(floor), statistics.median(ours)
    return Table(
        name="startup",
        title="start: from the command to the first epoch, on a Ray of our own",
        columns=("", "s", "times the floor"),
        rows=[
            ("ray.init and one empty Ray Train run", medians[0], 1.0),
            ("pricon-submit to its first epoch", medians[1], medians[1] / medians[0]),
        ],
        notes=(f"median of {rounds} rounds in turns; target: at most 1.3 times the floor",),
    )


def trial_cost(folder: Path, trials: int, rounds: int, *, tracks: bool = True) -> Table:
    """What one more trial costs, and what MLflow adds, in one process without Ray."""
    few, many = (job_of(folder, n, ["e2e", "lupi"]) for n in (trials // 10, trials))
    taken: dict[str, list[float]] = {name: [] for name in ("few", "many", "tracked", "again")}
    for _ in range(rounds):
        taken["few"].append(submitted(few, folder, "--no-track"))
        taken["many"].append(submitted(many, folder, "--no-track"))
        taken["again"].append(resubmitted(many, folder, "--no-track"))
        taken["tracked"].append(submitted(many, folder, *([] if tracks else ["--no-track"])))
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    counts = [2 * 2 * len(job.seeds) for job in (few, many)]
    more = (median["many"] - median["few"]) / (counts[1] - counts[0])
    share = (median["tracked"] - median["many"]) / median["tracked"]
    return Table(
        name="trial_cost",
        title=f"one process, one epoch a stage, {counts[1]} trials of two arms",
        columns=("", "s", "ms a trial"),
        rows=[
            (f"{counts[0]} trials", median["few"], 1000 * median["few"] / counts[0]),
            (f"{counts[1]} trials", median["many"], 1000 * median["many"] / counts[1]),
            ("one more trial, training included", None, 1000 * more),
            ("submitted again, nothing to train", median["again"], None),
            ("with MLflow", median["tracked"], 1000 * median["tracked"] / counts[1]),
        ],
        notes=(
            f"MLflow's share of the wall: {share:.0%}, of a run that trains next to nothing",
            f"median of {rounds} rounds in turns; target: at most 50 ms a trial",
        ),
    )


def scale(folder: Path, sizes: Sequence[int]) -> Table:
    """Plan, records, results and report of many trials that train nothing at all."""
    rows = []
    for size in sizes:
        job = job_of(folder, size, ["majority"])
        seconds, count = submitted(job, folder, "--no-track"), 2 * len(job.seeds)
        rows.append((f"{count:,} trials", seconds, 1000 * seconds / count))
    return Table(
        name="scale",
        title="majority arm: plan, records, results and report of trials without training",
        columns=("", "s", "ms a trial"),
        rows=rows,
        notes=("once each; the start of Python and pricon is in every row",),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small, once: for tests")
    is_quick = parser.parse_args(arguments).quick
    rounds = 1 if is_quick else 3
    with TemporaryDirectory(prefix="pricon-bench-") as name:
        folder = Path(name)
        publish(trial_cost(folder, 40 if is_quick else 600, rounds))
        publish(scale(folder, [20, 200] if is_quick else [100, 1_000, 10_000]))
        publish(start(folder, rounds))


if __name__ == "__main__":
    main()
