"""What a user sees while a run works: lanes, epochs, trials done of all, time left."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pricon.launch.events import EpochDone, Event, LaneDone, LaneRestarted, StagesDone, WorkerHung
from pricon.plan.plan import Plan, Stage
from pricon.report.results import TrialResult
from pricon.spec.job import JobSpec

_LINE_EVERY_S = 5.0
"""Without a terminal, one line so often."""
_LANES_SHOWN = 8
"""In such a line; a run of a hundred lanes would fill its log with them."""


def building(console: Console) -> Callable[[int, int], None]:
    """Says how far the build of a corpus is: one line a tenth of it."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done == total or 10 * done // total > told:
            told = 10 * done // total
            console.print(f"building the corpus: {done} of {total} units", highlight=False)

    return tell


class Progress:
    """Follows a run and shows it: a live panel on a terminal, lines elsewhere.

    The time left comes from the epochs that stages may still take; stages that stop early make it
    shrink faster than the clock, so it is an upper bound rather than a forecast.

    Args:
        plan: what runs.
        job: settings.
        console: where it is shown.
        then: what happens after the last lane, and may take a while.
        every_s: without a terminal, one line so often.
    """

    def __init__(  # what it shows, where, and how often
        self,
        plan: Plan,
        job: JobSpec,
        console: Console,
        then: str = "",
        *,
        every_s: float = _LINE_EVERY_S,
    ) -> None:
        self.plan = plan
        self.console = console
        self.then = then
        self.every_s = every_s
        self.contrastive = 2.0 * job.optimisation.contrastive.epochs
        self.probe = 0.2 * job.optimisation.probe.epochs
        self.supervised = 1.0 * job.optimisation.supervised.epochs
        self.total = sum(map(self._weight, plan.stages)) or 1.0
        self.done = 0.0
        self.trains_since: tuple[float, float] | None = None
        self.running: dict[int, EpochDone] = {}
        self.lanes: dict[int, str] = {lane.index: "starting" for lane in plan.lanes}
        self.trials: dict[str, str] = {}
        self.counted: set[str] = set()
        self.failed: set[str] = set()
        self.errors: dict[int, str] = {}
        self.started = time.monotonic()
        self.told = self.started
        self.live = Live(console=console, transient=True, get_renderable=self._panel)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()
        if kind is None and self.then:
            self.console.print(self.then, highlight=False)

    def finished(self, result: TrialResult) -> None:
        """A trial has its result."""
        self.trials[result.trial.id] = result.status
        for stage_id in result.trial.stages:
            self._count(self.plan.stage_by_id[stage_id])

    def listen(self, event: Event) -> None:
        """Take in what a lane says."""
        match event:
            case EpochDone():
                if self.trains_since is None:
                    self.trains_since = (time.monotonic(), self.fraction)
                self.running[event.lane] = event
                self.lanes[event.lane] = _words(event)
            case StagesDone():
                self.running.pop(event.lane, None)
                self.failed |= {*event.failed}
                for stage_id in (*event.committed, *event.failed):
                    self._count(self.plan.stage_by_id[stage_id])
            case WorkerHung(lane=lane, words=words):
                told = f"lane {lane}: {words}; it is ended"
                self.console.print(told, soft_wrap=True, highlight=False)
            case LaneRestarted():
                self.running.pop(event.lane, None)
                self.lanes[event.lane] = "starting again"
                words = f"lane {event.lane} begins again, from what it saved"
                self.console.print(words, highlight=False)
            case LaneDone():
                self.running.pop(event.lane, None)
                self.lanes[event.lane] = "done" if event.error is None else "stopped by an error"
                if event.error is not None:
                    self.errors[event.lane] = event.error
        self._print_line()

    def _count(self, stage: Stage) -> None:
        if stage.id not in self.counted:
            self.counted.add(stage.id)
            self.done += self._weight(stage)

    def _weight(self, stage: Stage) -> float:
        """Work of a stage, in epochs of a student."""
        return self._weight_of(stage.role, stage.objective)

    def _weight_of(self, role: str, objective: str) -> float:
        match role, objective:
            case ("majority", _) | (_, "random"):
                return 0.0
            case _, "contrastive":
                return self.contrastive
            case "probe", _:
                return self.probe
        return self.supervised

    @property
    def fraction(self) -> float:
        """Share of all work that is done, between 0 and 1."""
        under_way = sum(
            event.members
            * self._weight_of(event.role, event.objective)
            * event.epoch
            / event.epochs
            for event in self.running.values()
        )
        return min(1.0, (self.done + under_way) / self.total)

    def _time_left(self) -> str:
        if self.trains_since is None:
            return "waiting for the first epoch"
        began, before = self.trains_since
        gained = self.fraction - before
        if gained <= 0.02:
            return "time left unknown yet"
        seconds = (time.monotonic() - began) * (1.0 - self.fraction) / gained
        return f"at most {_clock(seconds)} left"

    def _status(self) -> str:
        trials = f"{len(self.trials)} of {len(self.plan.trials)} trials"
        failed = f", {len(self.failed)} stages failed" if self.failed else ""
        elapsed = _clock(time.monotonic() - self.started)
        return f"{trials}{failed}  {elapsed} elapsed, {self._time_left()}"

    def _panel(self) -> Group:
        lanes = Table.grid(padding=(0, 2))
        for lane, words in sorted(self.lanes.items()):
            lanes.add_row(Text(f"lane {lane}", style="bold"), Text(words))
        filled = round(40 * self.fraction)
        bar = Text(f"[{'#' * filled}{'.' * (40 - filled)}]  {self.fraction:.0%} of the work")
        return Group(lanes, bar, Text(self._status()))

    def _print_line(self) -> None:
        now = time.monotonic()
        if self.console.is_terminal or now - self.told < self.every_s:
            return
        self.told = now
        lanes = sorted(self.lanes, key=lambda lane: (lane not in self.running, lane))
        shown = "; ".join(f"lane {lane}: {self.lanes[lane]}" for lane in lanes[:_LANES_SHOWN])
        rest = f"; and {len(lanes) - _LANES_SHOWN} more" if len(lanes) > _LANES_SHOWN else ""
        self.console.print(f"{self._status()}  |  {shown}{rest}", soft_wrap=True, highlight=False)


def _words(event: EpochDone) -> str:
    loss = "" if event.validation_loss is None else f"  loss {event.validation_loss:.3f}"
    return (
        f"{event.pack}  epoch {event.epoch} of {event.epochs}  "
        f"{event.live} of {event.members} models{loss}"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
