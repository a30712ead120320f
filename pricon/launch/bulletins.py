"""Bulletins: what the driver of a run on a cluster says to whoever follows it, one line each.

They stand in its log between ordinary lines, so that reading the log is all that following needs:
no port, no server, and no permission but that for logs.
"""

import re
from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, TypeAdapter, ValidationError

from pricon.errors import (
    DEFECT,
    INTERRUPTED,
    LaunchError,
    PriconError,
    SpecError,
    TrainingError,
    is_of_machine,
)
from pricon.launch.lanes import NoWorkersError
from pricon.launch.submission import VersionError
from pricon.plan.plan import Plan
from pricon.report.results import TrialResult
from pricon.spec.base import Spec

_SMALL_TALK = re.compile(
    r"\d{4}-\d\d-\d\d [\d:,]+\t(INFO|SUCC) (cli|sdk|job_manager)\.py:\d+ -- "
    r"|Running entrypoint for job \S+: "
)
Cause = Literal[
    "done", "trials", "input", "version", "infrastructure", "capacity", "interrupted", "defect"
]
"""Why a driver ended. Only after `infrastructure` and `interrupted` another try may help."""


class PlanBulletin(Spec):
    """What will run."""

    pricon: Literal["plan"] = "plan"
    """Kind of bulletin; the first key of every one."""

    run_id: str
    """Identity of the run."""

    job: str
    """Name of the job."""

    arms: tuple[str, ...]
    """In the order of a table."""

    folds: tuple[int, ...]
    """Ascending."""

    trials: dict[str, dict[int, int]]
    """Arm -> fold -> number of trials."""

    generated: bool
    """Whether the corpus was generated."""

    output: str
    """Folder of the run."""

    stages: int
    """Number of stages."""

    @staticmethod
    def of(plan: Plan, output: str) -> "PlanBulletin":
        """What `plan` will run, into the folder `output`."""
        counts = Counter((trial.arm, plan.cells[trial.cell].fold) for trial in plan.trials)
        arms = tuple(dict.fromkeys(trial.arm for trial in plan.trials))
        folds = tuple(sorted({fold for _, fold in counts}))
        return PlanBulletin(
            run_id=plan.run_id,
            job=plan.job_name,
            arms=arms,
            folds=folds,
            trials={arm: {fold: counts[arm, fold] for fold in folds} for arm in arms},
            generated=plan.generated,
            output=output,
            stages=len(plan.stages),
        )


class TrialBulletin(Spec):
    """A trial has its result, or failed for good."""

    pricon: Literal["trial"] = "trial"
    """Kind of bulletin."""

    id: str
    """Identity of the trial."""

    arm: str
    """Of the trial."""

    stimulus: str
    """Of the trial."""

    fold: int
    """Of the trial."""

    seed: int
    """Of the trial."""

    status: Literal["finished", "failed"]
    """What became of it."""

    error: str | None = None
    """Why it failed."""

    @staticmethod
    def of(result: TrialResult) -> "TrialBulletin":
        """What became of a trial that will not go on."""
        return TrialBulletin(
            id=result.trial.id,
            arm=result.trial.arm,
            stimulus=result.cell.stimulus,
            fold=result.cell.fold,
            seed=result.cell.seed,
            status="finished" if result.status == "finished" else "failed",
            error=result.error,
        )


class TrainingBulletin(Spec):
    """What a lane trains from now on; it replaces what was said of this lane before."""

    pricon: Literal["training"] = "training"
    """Kind of bulletin."""

    lane: int
    """Index of the lane."""

    trials: dict[str, dict[int, int]]
    """Arm -> fold -> trials without a result for which one of their models trains; empty: none."""


class ProgressBulletin(Spec):
    """How far the run is, in words."""

    pricon: Literal["progress"] = "progress"
    """Kind of bulletin."""

    text: str
    """A line for people."""


class UsageBulletin(Spec):
    """What the run has taken so far, over all attempts; each replaces the one before."""

    pricon: Literal["usage"] = "usage"
    """Kind of bulletin."""

    pod_hours: NonNegativeFloat
    """Of worker pods."""

    gpu_hours: NonNegativeFloat
    """Of their GPUs."""

    cost: NonNegativeFloat | None = None
    """Of the worker pods, by the prices of the profile when the job was submitted; null: a part of
    it had none."""

    currency: str | None = None
    """Of the cost."""

    cells: dict[str, dict[int, NonNegativeFloat]] = Field(default_factory=dict)
    """Arm -> fold -> pod-hours for which lanes trained its trials: less than all, in sum."""

    is_last: bool = False
    """Whether this attempt will take no more."""


class ReportBulletin(Spec):
    """What was found."""

    pricon: Literal["report"] = "report"
    """Kind of bulletin."""

    text: str
    """The terminal's table."""

    complete: bool
    """Whether every trial has its result."""

    uri: str
    """Where report.html lies."""


class EndBulletin(Spec):
    """How the driver ended."""

    pricon: Literal["end"] = "end"
    """Kind of bulletin."""

    exit_code: int
    """Of the driver, as `pricon-submit` documents them."""

    cause: Cause
    """Whether trying again may help."""

    message: str | None = None
    """What was wrong."""

    hint: str | None = None
    """How to go on."""

    @property
    def is_final(self) -> bool:
        """Whether another attempt would only say the same."""
        return self.cause not in {"infrastructure", "interrupted"}

    @staticmethod
    def of_error(error: BaseException) -> "EndBulletin":
        """What is said of an error that ends a driver."""
        match error:
            case KeyboardInterrupt():
                hint = "submit again to go on: finished trials are kept"
                return EndBulletin(exit_code=INTERRUPTED, cause="interrupted", hint=hint)
            case TrainingError():
                cause: Cause = "trials"
            case PriconError(exit_code=SpecError.exit_code):
                cause = "input"
            case NoWorkersError():  # whoever tries again waits as long again
                cause = "capacity"
            case VersionError():
                cause = "version"
            case PriconError(exit_code=LaunchError.exit_code):
                cause = "infrastructure"
            case OSError() if is_of_machine(error):
                return EndBulletin(
                    exit_code=LaunchError.exit_code,
                    cause="infrastructure",
                    message=f"the driver's machine failed it: {error}",
                    hint="make room there if its disk is full; finished trials are kept, so submit "
                    "again to go on",
                )
            case _:
                text = f"{type(error).__name__}: {error}"
                return EndBulletin(exit_code=DEFECT, cause="defect", message=text)
        return EndBulletin(
            exit_code=error.exit_code, cause=cause, message=error.message, hint=error.hint
        )


Bulletin = (
    PlanBulletin
    | TrialBulletin
    | TrainingBulletin
    | ProgressBulletin
    | UsageBulletin
    | ReportBulletin
    | EndBulletin
)
_BULLETIN: TypeAdapter[Bulletin] = TypeAdapter(Annotated[Bulletin, Field(discriminator="pricon")])


def write(bulletin: Bulletin) -> str:
    """The line, without its end."""
    return bulletin.model_dump_json()


def is_small_talk(line: str) -> bool:
    """Whether Ray says it of a job that is well: which of its own commands follow or stop it.

    Those want the address of a Ray dashboard, which people do not have.
    """
    return _SMALL_TALK.match(line) is not None


def read(line: str) -> Bulletin | None:
    """The bulletin in a line of a log; null where it is an ordinary line, or torn."""
    if not line.startswith('{"pricon":'):
        return None
    try:
        return _BULLETIN.validate_json(line)
    except ValidationError:
        return None
