"""What is recorded, as data that survives a journal. Knows neither MLflow nor threads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from pricon.report.results import TrialResult

EndStatus = Literal["FINISHED", "FAILED", "KILLED"]
Value = str | int | float | bool | None


# NaN and infinity are part of an honest curve; JSON's null would lose which.
_FOR_JOURNAL = ConfigDict(
    ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings"
)


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value of a metric. `step` is the epoch of a curve and 0 of a final metric."""

    key: str
    value: float
    step: int = 0


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The corpus that a submission reads.

    Args:
        name: short, such as that of its adapter.
        uri: where it lies.
        digest: SHA-256 of its manifest, in hex.
        shapes: of one window, by modality.
        counts: of windows, sessions and participants, by those names.
    """

    name: str
    uri: str
    digest: str
    shapes: Mapping[str, tuple[int, ...]]
    counts: Mapping[str, int]


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One submission of a job begins, or goes on.

    Args:
        job_name: the job; MLflow's experiment has its name.
        run_id: the plan's; the same submission is the same run.
        params: flat, such as `student.encoder.width`.
        tags: such as the git commit; each trial gets them too.
        artifacts: file name -> bytes, such as job.yaml and plan.json.
        dataset: what it reads, or None where nobody says so.
    """

    kind: Literal["run"] = "run"
    job_name: str
    run_id: str
    params: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    dataset: Dataset | None = None


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial, begun or ended.

    Args:
        job_name: the job.
        run_id: the plan's.
        trial_id: the trial's; the same trial is the same child run over all attempts.
        name: for people.
        params: what it is.
        tags: the same and more, for searching.
        points: of curves and final metrics, by step.
        status: what became of it.
    """

    kind: Literal["trial"] = "trial"
    job_name: str
    run_id: str
    trial_id: str
    name: str
    params: Mapping[str, Value]
    tags: Mapping[str, str]
    points: tuple[Point, ...] = ()
    status: Literal["RUNNING", EndStatus]


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRecord:
    """The submission ended; trials that are still RUNNING never will.

    Args:
        job_name: the job.
        run_id: the plan's.
        status: what became of it.
        metrics: of the whole run.
        artifacts: file name -> bytes, such as report.md.
    """

    kind: Literal["finish"] = "finish"
    job_name: str
    run_id: str
    status: EndStatus
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)


@with_config(_FOR_JOURNAL)
@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """What the driver of a run has said, for when its pods are gone.

    Args:
        job_name: the job.
        run_id: the plan's.
        handle: of the run on its cluster.
        name: of this attempt's log.
        text: the whole of it.
    """

    kind: Literal["log"] = "log"
    job_name: str
    run_id: str
    handle: str
    name: str
    text: bytes


def tag_of(handle: str) -> str:
    """Tag of an MLflow run: which artifact is the newest log of the run with this handle.

    One MLflow run may have several: the same trials, asked for in other words.

    >>> tag_of("again-cv-9b5b8d71")
    'pricon.log.again-cv-9b5b8d71'
    """
    return f"pricon.log.{handle}"


def path_of(log: str) -> str:
    """Of the artifact that is a log.

    >>> path_of("0f3c.0.log")
    'logs/0f3c.0.log'
    """
    return f"logs/{log}"


Record = RunRecord | TrialRecord | FinishRecord | LogRecord

_ADAPTER: TypeAdapter[Record] = TypeAdapter(
    Annotated[Record, Field(discriminator="kind")], config=_FOR_JOURNAL
)


def to_line(record: Record) -> bytes:
    """The record as one line of JSON, without the line's end."""
    return _ADAPTER.dump_json(record)


def from_line(line: bytes) -> Record:
    """The record that `to_line` wrote."""
    return _ADAPTER.validate_json(line)


def trial_record(run: RunRecord, result: TrialResult, metrics: Mapping[str, float]) -> TrialRecord:
    """What is recorded of a trial.

    Args:
        run: the run it belongs to.
        result: what became of it; a missing trial counts as failed to end, `KILLED`.
        metrics: final ones by name; NaN means not defined and is left out.
    """
    trial, cell = result.trial, result.cell
    identity = {
        "arm": trial.arm,
        "modality": trial.modality,
        **{
            key: f"{value:g}" for key, value in trial.setting.to_dict().items() if value is not None
        },
        "stimulus": cell.stimulus,
        "affect": cell.affect,
        "fold": str(cell.fold),
        "seed": str(cell.seed),
    }
    tags = {**run.tags, **{f"pricon.{key}": value for key, value in identity.items()}}
    if result.error is not None:
        # Names of files may hold bytes that are no text, which no JSON can hold either.
        tags["pricon.error"] = result.error.encode(errors="replace").decode()
    status: dict[str, EndStatus] = {"finished": "FINISHED", "failed": "FAILED", "missing": "KILLED"}
    return TrialRecord(
        job_name=run.job_name,
        run_id=run.run_id,
        trial_id=trial.id,
        name=" ".join(filter(None, (trial.arm, trial.modality, str(trial.setting), str(cell)))),
        params=identity,
        tags=tags,
        points=_points(result, metrics),
        status=status[result.status],
    )


def _points(result: TrialResult, metrics: Mapping[str, float]) -> tuple[Point, ...]:
    best = [Point(key=f"{c.stage}/best_epoch", value=c.best_epoch) for c in result.curves]
    windows = [Point(key=f"windows/{split}", value=n) for split, n in result.num_windows.items()]
    final = [Point(key=name, value=value) for name, value in metrics.items() if not isnan(value)]
    # By step: should a batch be cut in two, what is missing lies above every key's highest step.
    return tuple(sorted([*_curves(result), *best, *windows, *final], key=lambda point: point.step))


def _curves(result: TrialResult) -> Iterator[Point]:
    for curve in result.curves:
        for name, values in curve.values.items():
            key = f"{curve.stage}/{name}"  # one text for all its points, of which many may wait
            for epoch, value in enumerate(values):
                yield Point(key=key, value=value, step=epoch)
