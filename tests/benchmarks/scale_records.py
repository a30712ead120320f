"""What finished trials cost: records in storage, results, report and MLflow, as trials grow."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pricon.corpus.reader import Corpus, open_corpus
from pricon.launch.driver import Ledger
from pricon.launch.inprocess import InprocessLanes
from pricon.launch.lanes import Assignment
from pricon.launch.preflight import Prepared, prepare
from pricon.report.metrics import measure
from pricon.report.write import write_report
from pricon.storage import open_storage
from pricon.track.records import RunRecord, trial_record
from pricon.train.records import Records, StageRecord
from tests.benchmarks.growth import exponent, worst
from tests.benchmarks.startup import job_of
from tests.benchmarks.table import Cell, Table
from tests.benchmarks.world import QUICK, World, kind_of
from tests.report.grids import Grid, always, make_run

FOLDS = 5


@dataclass
class Run:
    """Trials of the majority arm, which train nothing: each step leaves what the next one needs."""

    folder: Path
    size: int
    corpus: Corpus = field(init=False)
    prepared: Prepared = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        job = job_of(self.folder, self.size, ["majority"], output=str(self._below("runs")))
        self.corpus = open_corpus(open_storage(job.corpus.uri))
        self.prepared = prepare(job, self.corpus, None)
        records = Records(open_storage(job.output).child("stages"))
        self.ledger = Ledger(plan=self.prepared.plan, corpus=self.corpus, records=records)

    def steps(self) -> dict[str, Callable[[], object]]:
        """By name, in their order."""
        plan, records = self.ledger.plan, self.ledger.records
        report = open_storage(str(self._below("report")))
        return {
            "lane": self._lane,
            "committed ids": records.committed_ids,
            "verified": lambda: records.verified({stage.id for stage in plan.stages}),
            "results": lambda: self.ledger.collect(plan.trials, records.committed_ids()),
            "report": lambda: write_report(report, plan, self.ledger.all_results(), {}),
        }

    def track(self, trials: int) -> None:
        """So many results into a fresh database of MLflow, as a tracker's process records them."""
        from pricon.track.mlflow import MlflowRecorder

        plan, uri = self.prepared.plan, self._below(f"mlflow-{trials}")
        recorder = MlflowRecorder(f"sqlite:///{uri}.db", uri.as_uri())
        run = RunRecord(job_name=plan.job_name, run_id=plan.run_id)
        recorder.apply(run)
        for result in self.ledger.all_results()[:trials]:
            assert result.predictions is not None
            recorder.apply(trial_record(run, result, measure(result.predictions).to_dict()))

    def bytes_a_trial(self) -> float:
        """On disk, the record's JSON among them."""
        files = [file for file in self._below("runs").rglob("*") if file.is_file()]
        return sum(file.stat().st_size for file in files) / len(self.prepared.plan.trials)

    def _lane(self) -> None:
        job, plan = self.prepared.job, self.prepared.plan
        lanes = [Assignment.of(job, plan, lane.index) for lane in plan.lanes]
        InprocessLanes().run(lanes, lambda _: None)

    def _below(self, what: str) -> Path:
        return self.folder / f"{what}-{self.size}"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of all threads of this process; waiting is not in them."""
    started = time.process_time()
    work()
    return time.process_time() - started


def growth(folder: Path, sizes: Sequence[int]) -> Table:
    """Seconds of each step, a row a size, and the exponents below them."""
    rows: list[tuple[Cell, ...]] = []
    steps: dict[str, list[float]] = {}
    for size in sizes:
        run = Run(folder, size)
        for name, work in run.steps().items():
            steps.setdefault(name, []).append(cpu_seconds(work))
        taken = [seconds[-1] for seconds in steps.values()]
        rows.append((f"{size:,} trials", *taken, run.bytes_a_trial()))
    rows.append(("exponent", *(exponent(sizes, seconds) for seconds in steps.values()), ""))
    step, slope = worst(sizes, steps)
    return Table(
        name="scale_records",
        title="majority arm, records in a folder, from the lane to the report",
        columns=("", *(f"{name} s" for name in steps), "bytes a trial"),
        rows=rows,
        notes=(
            "CPU seconds, once each; exponent: of the trials, between the two largest",
            f"worst step: {step}, {slope:.2f}; lane: counts majorities and commits a record each",
        ),
    )


def tracking(folder: Path, sizes: Sequence[int]) -> Table:
    """Seconds that MLflow takes for so many trials."""
    run = Run(folder, max(sizes))
    for step in run.steps().values():
        step()
    run.track(1)  # imports MLflow
    seconds = [cpu_seconds(lambda n=size: run.track(n)) for size in sizes]  # type: ignore[misc]
    rows: list[tuple[Cell, ...]] = [
        (f"{size:,} trials", taken, 1000 * taken / size)
        for size, taken in zip(sizes, seconds, strict=True)
    ]
    rows.append(("exponent", exponent(sizes, seconds), ""))
    return Table(
        name="scale_tracking",
        title="the same trials into a fresh SQLite file of MLflow's",
        columns=("", "s", "ms a trial"),
        rows=rows,
        notes=("CPU seconds; in a run a process does this while lanes train",),
    )


def reporting(people: Sequence[int], windows: int) -> Table:
    """Seconds of a report for each trial, as the participants tested in a fold grow."""
    rows: list[tuple[Cell, ...]] = []
    seconds: list[float] = []
    for tested in people:
        grid = Grid(
            arms={"e2e": lambda person, _: 37 * person % windows, "lupi": always(windows // 3)},
            num_folds=FOLDS,
            per_fold=tested,
            seeds=(0,),
            num_windows=windows,
        )
        plan, results = make_run(grid)
        with TemporaryDirectory(prefix="pricon-bench-") as folder:
            report = open_storage(folder)
            taken = cpu_seconds(lambda: write_report(report, plan, results, {}))  # noqa: B023
        seconds.append(taken / len(results))
        rows.append((f"{tested:,} participants", tested * windows, seconds[-1]))
    rows.append(("exponent", "", exponent(people, seconds)))
    return Table(
        name="scale_report",
        title=f"report of trials that test so many, {windows} windows each, {FOLDS} folds",
        columns=("", "windows a trial", "s a trial"),
        rows=rows,
        notes=("CPU seconds of all threads, figures included; 2,000 resamples",),
    )


def sizes_of_records() -> Table:
    """Bytes of a record by what they grow with, from real records at RECOLA's widths."""
    world = World(QUICK)
    for lane in world.plan.lanes:
        world.train(lane)
    seen: dict[str, tuple[Cell, ...]] = {}
    for stage in world.plan.stages:
        name = f"{kind_of(stage)}, {'+'.join(stage.modalities)}"
        seen[name] = (name, *row_of(world.records[stage.id]))
    return Table(
        name="scale_bytes",
        title="a record of a finished stage, RECOLA's widths: bytes by what they grow with",
        columns=("", "fixed", "a judged window", "a training window"),
        rows=sorted(seen.values(), key=lambda row: str(row[0])),
        notes=("beside it the readable half, JSON, which names every participant once",),
    )


def row_of(record: StageRecord) -> tuple[int, int, int]:
    """Bytes that are always there, bytes a window of the judging split, and of the training one."""
    fixed = judged = trained = 0
    for name, array in record.arrays.items():
        if name.startswith(("test_", "train_")):
            a_window = array.nbytes // len(array)
            judged += a_window * name.startswith("test_")
            trained += a_window * name.startswith("train_")
        else:
            fixed += array.nbytes
    return fixed, judged, trained


def tables(folder: Path, *, is_quick: bool) -> Iterator[Table]:
    """By trials; and what records hold."""
    yield growth(folder, [4, 20] if is_quick else [100, 1_000, 10_000])
    yield tracking(folder, [2, 4] if is_quick else [100, 300, 1_000])
    yield reporting([2, 4] if is_quick else [20, 60, 200, 600], 10 if is_quick else 740)
    yield sizes_of_records()
