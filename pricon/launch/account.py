"""What a driver said so far, out of the lines of its log: plan, trials, report, end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    TrialBulletin,
    UsageBulletin,
    read,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Trials of one arm in one fold.

    Args:
        arm: of the trials.
        fold: of the trials.
        done: have their result.
        failed: failed for good.
        total: planned.
        running: of those that are left, the ones for which a model trained when last heard of.
        pod_hours: for which lanes trained them.
    """

    arm: str
    fold: int
    done: int
    failed: int
    total: int
    running: int = 0
    pod_hours: float = 0.0

    @property
    def left(self) -> int:
        """Trials that run, or wait for their turn."""
        return self.total - self.done - self.failed


@dataclass(slots=True)
class Account:
    """Takes in lines of a log. A new plan begins a new attempt: what was said before is void.

    But for what was used, which adds up.

    Args:
        plan: what will run, or None before it.
        trials: what became of trials, by their ids.
        training: what lanes train, by their index.
        used: what the run has taken so far, or None where nobody counts.
        doing: what it does, in its latest words; None where it said nothing, and after the end.
        report: what was found, or None before it.
        end: how the driver ended, or None before it.
    """

    plan: PlanBulletin | None = None
    trials: dict[str, TrialBulletin] = field(default_factory=dict)
    training: dict[int, TrainingBulletin] = field(default_factory=dict)
    used: UsageBulletin | None = None
    doing: str | None = None
    report: ReportBulletin | None = None
    end: EndBulletin | None = None

    def take(self, line: str) -> Bulletin | None:
        """The bulletin in a line; None where it is ordinary text."""
        bulletin = read(line)
        match bulletin:
            case PlanBulletin():
                self.plan = bulletin
                self.trials, self.training, self.report, self.end = {}, {}, None, None
            case TrialBulletin():
                self.trials[bulletin.id] = bulletin
            case TrainingBulletin(lane=lane):
                self.training[lane] = bulletin
            case UsageBulletin():
                self.used = bulletin
            case ProgressBulletin(text=text):
                self.doing = text
            case ReportBulletin():
                self.report = bulletin
            case EndBulletin():
                self.training, self.doing, self.end = {}, None, bulletin
        return bulletin

    def cells(self) -> list[Cell]:
        """The matrix arm x fold, in the order of the plan; empty before it."""
        return [] if self.plan is None else [*self._cells(self.plan)]

    def _cells(self, plan: PlanBulletin) -> Iterator[Cell]:
        said = Counter((trial.arm, trial.fold, trial.status) for trial in self.trials.values())
        used = {} if self.used is None else self.used.cells
        for arm in plan.arms:
            for fold in plan.folds:
                total = plan.trials[arm][fold]
                done, failed = said[arm, fold, "finished"], said[arm, fold, "failed"]
                trains = sum(one.trials.get(arm, {}).get(fold, 0) for one in self.training.values())
                yield Cell(
                    arm=arm,
                    fold=fold,
                    done=done,
                    failed=failed,
                    total=total,
                    running=min(trains, total - done - failed),
                    pod_hours=used.get(arm, {}).get(fold, 0.0),
                )
