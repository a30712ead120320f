"""A recorded run once more while its processes are killed, to see whether a job survives here.

It is submitted as somebody would type it. From time to time a process of it is killed, be it a
worker, Ray's own, the driver, or all at once. A submission that ends by that is made again, as its
last words ask for. What is found in the end has to be what the record says, and MLflow has to know
every trial once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pricon.errors import SpecError
from pricon.launch.compare import Reproduction, check_tolerance
from pricon.launch.faults import DisturbedRun, Faults
from pricon.launch.reproduce import Again, prepare_again
from pricon.launch.sizing import check_fits
from pricon.launch.victims import Victim
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from pricon.spec.resources import TrackingSpec
from pricon.storage import Storage
from pricon.track.open import default_uri

_SHORT = 35
"""Characters of a folder in which Ray's sockets have paths that a system takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run.

    Args:
        killed: what was killed, in that order.
        num_submissions: that it took.
        seconds: from the first submission to the end of the last.
        num_off: how often something did not go as is promised, besides what differs.
        reproduction: how the results differ from the record; None where there are none.
    """

    killed: tuple[Victim, ...]
    num_submissions: int
    seconds: float
    num_off: int
    reproduction: Reproduction | None


def reproduce_under_faults(
    recorded: Storage,
    folder: Path,
    faults: Faults,
    command: Sequence[str],
    tolerance: float,
    say: Callable[[str], None],
) -> Outcome:
    """Train a recorded run again on this machine, while its processes are killed.

    Args:
        recorded: folder of the run.
        folder: where to run; an empty folder. What submissions say is there, too.
        faults: what is killed, and how often.
        command: submits the job whose file is added to it.
        tolerance: see `reproduce`.
        say: told of each fault, and of what does not go as is promised.

    Raises:
        CorpusError, PlanError: see `prepare_again`.
        LaunchError: the run fails without a fault.
        SpecError: tolerance or job do not suit; or the run was over before the first fault.
    """
    check_tolerance(tolerance)
    again = _prepare(recorded, folder)
    file = folder / "job.yaml"
    file.write_text(dump_job(_made_to_last(again.prepared.job, faults)), encoding="utf-8")
    folds = [] if again.folds is None else ["--only-folds", ",".join(map(str, again.folds))]
    say(
        f"run {again.recorded.plan.run_id} again in {folder}: faults at most {faults.number}, one "
        f"every {faults.every_s:g} s on average; it may take several times as long as the run"
    )
    run = DisturbedRun([*_environment(folder), *command, str(file), *folds], folder, faults, say)
    is_done = run.to_its_end()
    if is_done and not run.killed:
        raise SpecError(
            f"the run was over before anything was killed, after {run.seconds:.0f} s",
            "give a smaller `--every`, or a run that takes longer",
        )
    for line in (lines := _audit(again) if is_done else []):
        say(line)
    return Outcome(
        killed=tuple(run.killed),
        num_submissions=run.num_submissions,
        seconds=run.seconds,
        num_off=run.num_off + len(lines),
        reproduction=again.compare({}, tolerance) if is_done else None,
    )


def _prepare(recorded: Storage, folder: Path) -> Again:
    """A run that can be whole on this machine."""
    again = prepare_again(recorded, folder / "runs", "local")
    job = again.prepared.job
    check_fits(job.target, job.resources)
    if missing := again.recorded.num_missing:
        raise SpecError(
            f"of the run's {len(again.recorded.plan.trials)} trials {missing} have not finished",
            "submit its job again, until its report is complete",
        )
    return again


def _audit(again: Again) -> list[str]:
    """What MLflow does not know as it should."""
    from pricon.track.audit import audit  # imports mlflow

    job, plan = again.prepared.job, again.prepared.plan
    uri = default_uri(Path(job.output))
    return audit(uri, job.name, plan.run_id, {trial.id for trial in plan.trials})


def _environment(folder: Path) -> list[str]:
    """What a driver that is killed leaves behind, and its Ray, is to lie in the folder as well.

    That has its limit where temporary folders have long paths.
    """
    names = ("TMPDIR", "RAY_TMPDIR") if len(str(folder)) <= _SHORT else ()
    return ["env", *(f"{name}={folder}" for name in names)]


def _made_to_last(job: JobSpec, faults: Faults) -> JobSpec:
    """The same job, with an MLflow of its own.

    It may lose as many workers as will be killed, and saves between two faults.
    """
    resources = job.resources.model_copy(
        update={
            "max_failures": max(job.resources.max_failures, faults.number),
            "checkpoint_interval_s": min(job.resources.checkpoint_interval_s, faults.every_s / 4),
        }
    )
    return job.model_copy(update={"resources": resources, "tracking": TrackingSpec()})
