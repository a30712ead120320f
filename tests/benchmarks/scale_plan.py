"""What planning costs as trials and participants grow: every step from a corpus' summary to what is
carried to the lanes."""

import gc
import pickle
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pricon.corpus.index import WindowIndex
from pricon.launch.lanes import Assignment
from pricon.launch.preflight import check_classes
from pricon.plan.leakage import check_leakage
from pricon.plan.plan import Plan
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from tests.benchmarks.growth import exponent, worst
from tests.benchmarks.table import Cell, Table
from tests.benchmarks.world import ARMS, WIDTHS

WINDOWS_EACH = 40
TRIALS_A_LANE = 100
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Recorded:
    """People with a recording of the same length each; of their windows there is the index."""

    people: int

    @property
    def summary(self) -> CorpusSummary:
        names = [f"P{number:05d}" for number in range(self.people)]
        return CorpusSummary(
            digest="memory",
            generated=True,
            modalities=tuple(sorted(WIDTHS)),
            affects=("arousal",),
            sessions=tuple(
                RecordedSession(id=f"s{who}", participant=who, stimulus="recola", sha256=who)
                for who in names
            ),
        )

    def index(self, stimuli: tuple[str, ...] = ()) -> WindowIndex:
        num = self.people * WINDOWS_EACH
        affect = np.random.default_rng(0).normal(0, 0.3, num)
        names = np.array([f"P{number:05d}" for number in range(self.people)])
        who = np.repeat(names, WINDOWS_EACH)
        nothing = np.zeros(num)
        return WindowIndex(
            window=np.arange(num),
            participant=who,
            session=who,
            stimulus=np.full(num, "recola"),
            t_start_s=nothing,
            t_end_s=nothing,
            affect={"arousal": affect},
            change={"arousal": nothing},
            trend={"arousal": nothing},
            session_mean={"arousal": nothing},
        )


@dataclass
class Planning:
    """One plan in the making: each step leaves what the next one needs."""

    recorded: Recorded
    job: JobSpec
    summary: CorpusSummary = field(init=False)
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.summary = self.recorded.summary

    def steps(self) -> Mapping[str, Callable[[], object]]:
        """By name, in their order."""
        return {
            "plan": self._plan,
            "leakage": lambda: check_leakage(self.plan, self.summary),
            "classes": lambda: check_classes(self.plan, self.job, self.recorded),
            "plan.json": self._write,
            "lanes": self._lanes,
        }

    def _plan(self) -> None:
        self.plan = plan_trials(self.job, self.summary)

    def _write(self) -> None:
        self.plan.to_json()

    def _lanes(self) -> None:
        """What Ray is given to carry, one lane after the other."""
        for lane in self.plan.lanes:
            pickle.dumps(Assignment.of(self.job, self.plan, lane.index))


def job_of(arms: Sequence[str], folds: Mapping[str, Any], seeds: int, lanes: int) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "scale",
            "corpus": {"adapter": "recola", "uri": "memory"},
            "affects": "arousal",
            "label": {"threshold": 0, "margin": 0.05},
            "modalities": {"available": [*WIDTHS]},
            "arms": arms,
            "folds": {"validation_share": 0.1, **folds},
            "seeds": [*range(seeds)],
            "resources": {"lanes": lanes},
            "output": "memory",
        }
    )


def crossed(people: int, seeds: int) -> Planning:
    """All arms, each modality in turn available, five folds."""
    trials = FOLDS * seeds * (len(WIDTHS) * (len(ARMS) - 2) + 2)
    job = job_of(ARMS, {"count": FOLDS}, seeds, lanes=max(1, trials // TRIALS_A_LANE))
    return Planning(Recorded(people), job)


def left_out(people: int) -> Planning:
    """As many folds as people, two arms, one seed."""
    job = job_of(["majority", "e2e"], {"scheme": "leave_one_out", "require_all_classes": False}, 1,
                 lanes=max(1, 4 * people // TRIALS_A_LANE))  # fmt: skip
    return Planning(Recorded(people), job)


def seconds_of(planning: Planning) -> dict[str, float]:
    """CPU seconds of each step: of one thread, and what else the machine does is not in them."""
    seconds = {}
    for name, step in planning.steps().items():
        gc.collect()
        started = time.process_time()
        step()
        seconds[name] = time.process_time() - started
    return seconds


def peak_mib(planning: Planning) -> float:
    """Most that all steps hold at once; apart from `seconds_of`, because counting takes time."""
    tracemalloc.start()
    for step in planning.steps().values():
        step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def grown(name: str, title: str, sizes: Iterable[tuple[int, Planning]], of: str) -> Table:
    """Seconds of each step, a row a size, and the exponents below them.

    Args:
        name: of the table.
        title: what grows, and what does not.
        sizes: with their plans in the making.
        of: what is counted.
    """
    seconds_of(crossed(people=20, seeds=1))  # warms up
    rows: list[tuple[Cell, ...]] = []
    counts: list[float] = []
    peaks: list[float] = []
    steps: dict[str, list[float]] = {}
    for size, planning in sizes:
        for step, seconds in seconds_of(planning).items():
            steps.setdefault(step, []).append(seconds)
        taken = [of_step[-1] for of_step in steps.values()]
        trials = len(planning.plan.trials)
        peaks.append(peak_mib(planning))
        rows.append((f"{size:,} {of}", trials, *taken, 1000 * sum(taken) / trials, peaks[-1]))
        counts.append(size)
    slopes = [exponent(counts, seconds) for seconds in steps.values()]
    rows.append(("exponent", "", *slopes, "", exponent(counts, peaks)))
    step, slope = worst(counts, steps)
    return Table(
        name=name,
        title=title,
        columns=("", "trials", *(f"{step} s" for step in steps), "ms a trial", "peak MiB"),
        rows=rows,
        notes=(
            "CPU seconds of one thread; exponent: of the size, between the two largest",
            f"worst step: {step}, {slope:.2f}",
            f"{WINDOWS_EACH} windows a participant, a lane for every {TRIALS_A_LANE} trials",
        ),
    )


def tables(*, is_quick: bool) -> Iterable[Table]:
    """By trials, by participants, and both at once by leave-one-out."""
    people = 40 if is_quick else 1_000
    yield grown(
        "scale_trials",
        f"planning, {people:,} participants, {FOLDS} folds",
        ((num, crossed(people, num)) for num in ([1, 2] if is_quick else [1, 8, 77, 231])),
        "seeds",
    )
    crowds = [20, 40] if is_quick else [100, 300, 1_000, 3_000]
    num = 1 if is_quick else 8
    yield grown(
        "scale_participants",
        f"planning, {FOLDS} folds, {num} seeds",
        ((crowd, crossed(crowd, num)) for crowd in crowds),
        "participants",
    )
    crowds = [20, 40] if is_quick else [100, 300, 1_000]
    yield grown(
        "scale_leave_one_out",
        "planning, leave-one-out: a fold a participant, each of which names everybody",
        ((crowd, left_out(crowd)) for crowd in crowds),
        "participants",
    )
