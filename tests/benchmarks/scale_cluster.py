"""What pricon's driver costs on a cluster of many nodes, simulated on one machine.

    python -m tests.benchmarks.scale_cluster NODES

Every node is a real raylet with a CPU of its own on paper; the machine's cores are shared by all of
them, so that seconds of wall are those of workers that start, and what says how pricon scales is
the driver's own CPU time. Nodes have no GPUs on paper: for lanes with some, Ray Train asks for
NCCL, which torch for CPUs lacks.

Prints one line of JSON.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from pricon.launch.events import Event, StagesDone
from pricon.report.results import TrialResult
from pricon.spec.job import JobSpec
from tests.benchmarks.growth import exponent
from tests.benchmarks.startup import ONE_EPOCH
from tests.benchmarks.table import Cell, Table
from tests.safeguards.sources import ROOT
from tests.tiny import build, tiny_job

CELLS_A_LANE = 10
ARMS = ("majority", "e2e")
_STORE_BYTES = 80 * 2**20


@dataclass
class Marks:
    """A view that notes when a run's phases begin, and how large Ray's processes are meanwhile.

    Args:
        at: phase -> seconds on the wall and of this process' CPU time, when it began.
        mib: kind of Ray's processes -> mebibytes of all of them, at the first result.
    """

    at: dict[str, tuple[float, float]] = field(default_factory=dict)
    mib: dict[str, float] = field(default_factory=dict)

    def mark(self, phase: str) -> None:
        self.at[phase] = (time.perf_counter(), time.process_time())

    def __enter__(self) -> "Marks":
        self.mark("lanes")
        return self

    def __exit__(self, *_: object) -> None:
        self.mark("after")

    def finished(self, result: TrialResult) -> None:
        return None

    def listen(self, event: Event) -> None:
        if isinstance(event, StagesDone) and not self.mib:
            self.mib = sizes_of_processes()

    def between(self, one: str, other: str) -> tuple[float, float]:
        (wall, cpu), (wall_then, cpu_then) = self.at[one], self.at[other]
        return wall_then - wall, cpu_then - cpu


def sizes_of_processes() -> dict[str, float]:
    """Memory that processes of this Ray have for themselves, by kind."""
    found = {"controllers": 0.0, "nodes": 0.0}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if words.startswith("ray::TrainController"):
                found["controllers"] += process.memory_full_info().uss / 2**20
            elif "ray::" not in words:
                found["nodes"] += process.memory_full_info().uss / 2**20
    return found


def empty_runs(count: int) -> tuple[float, float]:
    """Seconds of that many Ray Train runs at once that do nothing: of wall, of CPU here."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    def fit(number: int) -> None:
        TorchTrainer(
            lambda: None,
            scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(name=f"empty-{number}", storage_path=folder),
        ).fit()

    with TemporaryDirectory(prefix="pricon-empty-", ignore_cleanup_errors=True) as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        threads = [threading.Thread(target=fit, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - wall, time.process_time() - cpu


def job_of(folder: Path, lanes: int) -> JobSpec:
    """So many lanes of as many cells each, whose students train for one epoch."""
    job = tiny_job(
        folder,
        arms=[*ARMS],
        seeds=[*range(lanes * CELLS_A_LANE // 2)],
        optimisation=dict.fromkeys(("contrastive", "probe", "supervised"), ONE_EPOCH),
        resources={"lanes": lanes},
        target="ray",
    )
    return build(job)


def driven(job: JobSpec) -> tuple[Marks, int]:
    """A whole run by pricon's driver, and the number of its trials."""
    from pricon.corpus.reader import open_corpus
    from pricon.launch.preflight import prepare
    from pricon.launch.submit import run
    from pricon.storage import open_storage
    from pricon.track.open import no_tracker

    marks = Marks()
    marks.mark("before")
    corpus = open_corpus(open_storage(job.corpus.uri))
    prepared = prepare(job, corpus, None)
    report = run(prepared, corpus, no_tracker(), marks)
    marks.mark("end")
    assert report.complete
    return marks, len(report.trials)


def on_cluster(nodes: int, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `measure` finds where a cluster of so many nodes can be joined."""
    from ray.cluster_utils import Cluster

    started = time.perf_counter()
    cluster: Any = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": _STORE_BYTES}
    )
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES)
        os.environ["RAY_ADDRESS"] = cluster.address
        return {"start": time.perf_counter() - started, **measure()}
    finally:
        cluster.shutdown()


def measured(job: JobSpec, lanes: int) -> dict[str, float]:
    """Empty runs, then pricon's, a run a node; the first run of all is not counted."""
    import ray

    from pricon.launch.joined import joined_ray

    joined_ray(grows=False)()
    empty_runs(1)
    wall, cpu = empty_runs(lanes)
    ray.shutdown()
    marks, trials = driven(job)
    found = {"lanes": lanes, "trials": trials, "empty": wall, "empty cpu": cpu, **marks.mib}
    found["run"], found["run cpu"] = marks.between("lanes", "after")
    found["plan"], found["report"] = (
        marks.between(*phase)[0] for phase in (("before", "lanes"), ("after", "end"))
    )
    return found


def main() -> None:
    """Of a cluster of so many nodes."""
    nodes = int(sys.argv[1])
    with TemporaryDirectory(prefix="pricon-scale-") as folder:
        job = job_of(Path(folder), nodes)
        found = on_cluster(nodes, lambda: measured(job, nodes))
    sys.stdout.write(json.dumps(found) + "\n")


def in_a_process(nodes: int) -> dict[str, float]:
    """The same in a process of its own, with a Ray that no other can take for its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-m", "tests.benchmarks.scale_cluster", str(nodes)]
    # Paths of Ray's sockets may be 107 bytes long.
    with TemporaryDirectory(prefix="ray-") as folder:
        environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
        }
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(sizes: Sequence[int]) -> Table:
    """A row a cluster, and below them how fast totals grow."""
    return table_of([in_a_process(nodes) for nodes in sizes])


def table_of(measured: Sequence[Mapping[str, float]]) -> Table:
    """The same of what was measured, smallest cluster first."""
    lanes = [found["lanes"] for found in measured]
    totals = ("empty", "run", "empty cpu", "run cpu")
    slopes = [exponent(lanes, [found[name] for found in measured]) for name in totals]
    rows = [row_of(found) for found in measured]
    return Table(
        name="scale_cluster",
        title=f"simulated nodes, a lane each, {CELLS_A_LANE * len(ARMS)} trials a lane",
        columns=(
            "nodes", "trials", "empty runs s", "pricon s", "empty, CPU s", "pricon, CPU s",
            "ms a lane and s, empty", "ms a lane and s, pricon", "controller MiB a lane",
            "MiB a node", "plan ms a trial", "report ms a trial",
        ),
        rows=[*rows, ("exponent", "", *slopes, *[""] * 6)],
        notes=(
            "empty runs: as many Ray Train runs at once, in which workers do nothing",
            "CPU: of the driver's process while lanes run, in ms also for each lane and second,"
            " as most of it is asking how lanes are",
            "controllers: Ray Train's, one a lane, all on the head",
            f"all nodes share {os.cpu_count()} cores; exponent: between the two largest",
        ),
    )  # fmt: skip


def row_of(found: Mapping[str, float]) -> tuple[Cell, ...]:
    lanes, trials = int(found["lanes"]), int(found["trials"])
    return (
        str(lanes),
        trials,
        *(found[name] for name in ("empty", "run", "empty cpu", "run cpu")),
        *(1000 * found[f"{name} cpu"] / lanes / found[name] for name in ("empty", "run")),
        found["controllers"] / lanes,
        found["nodes"] / (lanes + 1),
        *(1000 * found[name] / trials for name in ("plan", "report")),
    )


if __name__ == "__main__":
    main()
