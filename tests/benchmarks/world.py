"""A corpus of RECOLA's shape in memory, and the plan of a whole cross-validation on it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import Corpus
from pricon.launch.worker import members_at_most, packs_of
from pricon.plan.plan import Lane, Plan, Stage
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.train.checkpoint import Checkpoints
from pricon.train.ranks import Ranks
from pricon.train.recipes import PackWork
from pricon.train.records import StageRecord
from pricon.train.stages import train_pack
from pricon.train.windows import GroupWindows

WIDTHS = {"audio": 131, "video": 41, "physiology": 54 + 62}
"""Of RECOLA's features; ECG and EDA side by side, as in `jobs/recola_cv.yaml`."""

CPU = torch.device("cpu")

ARMS = (
    "e2e", "scl", "lupi", "lupi_privileged", "pricon", "pricon_privileged", "pricon_shuffled",
    "pricon_random", "all_modalities", "scl_all_modalities",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, for how many epochs every stage trains, and who may have which threads."""

    people: int
    windows_each: int
    folds: int
    seeds: int
    epochs: int
    lanes: int = 2
    threads: tuple[int, ...] = (1, 2)


FULL = Size(people=23, windows_each=740, folds=5, seeds=5, epochs=2)
QUICK = Size(people=8, windows_each=60, folds=2, seeds=1, epochs=2, threads=(1,))


def kind_of(stage: Stage) -> str:
    """What a stage is called in tables."""
    match stage.role, stage.objective:
        case "teacher", "contrastive":
            return "contrastive teachers"
        case "teacher", "random":
            return "random encoders"
        case "teacher", _:
            return "supervised teachers"
        case role, _:
            return f"{role}s"


@dataclass
class World:
    """Windows, job and plan; `records` are those of the stages trained so far on `device`."""

    size: Size
    device: torch.device = CPU
    job: JobSpec = field(init=False)
    plan: Plan = field(init=False)
    windows: GroupWindows = field(init=False)
    records: dict[str, StageRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.job = _job(self.size)
        people = [f"P{number:02d}" for number in range(self.size.people)]
        sessions = tuple(
            RecordedSession(id=f"s{who}", participant=who, stimulus="recola") for who in people
        )
        summary = CorpusSummary(
            digest="memory",
            generated=True,
            modalities=tuple(sorted(WIDTHS)),
            affects=("arousal",),
            sessions=sessions,
        )
        self.plan = plan_trials(self.job, summary)
        self.windows = GroupWindows(_corpus(self.size, people), self.job, ("recola",))

    def work(self, stages: tuple[Stage, ...]) -> PackWork:
        """A pack of `stages`, whose sources are trained."""
        return PackWork(
            stages=stages,
            cells=[self.plan.cells[stage.cell] for stage in stages],
            sources=[self.records.get(stage.source or "") for stage in stages],
            windows=self.windows,
            job=self.job,
            ranks=Ranks(),
            device=self.device,
            made_with={},
        )

    def train(self, lane: Lane) -> Mapping[str, float]:
        """All packs of a lane as its worker trains them; seconds by kind of stage."""
        seconds: dict[str, float] = defaultdict(float)
        for pack in packs_of(self.plan, lane, members_at_most(self.job)):
            seconds[kind_of(pack[0])] += self.train_pack(pack)[0].facts.seconds
        return seconds

    def train_pack(self, stages: tuple[Stage, ...]) -> list[StageRecord]:
        """What a worker makes of a pack, kept in memory."""
        trained = train_pack(self.work(stages), Checkpoints(None, [], 1e9), lambda _: None)
        records = [record for record in trained if isinstance(record, StageRecord)]
        assert len(records) == len(stages)
        self.records |= {record.facts.stage_id: record for record in records}
        return records


def _job(size: Size) -> JobSpec:
    training = {"epochs": size.epochs, "patience": size.epochs}
    return JobSpec.model_validate(
        {
            "name": "cross-validation",
            "corpus": {"adapter": "recola", "uri": "memory"},
            "affects": "arousal",
            "label": {"threshold": 0, "margin": 0.05},
            "modalities": {"available": [*WIDTHS]},
            "arms": ARMS,
            "folds": {"count": size.folds, "validation_share": 0, "validation_minimum": 2},
            "seeds": [*range(size.seeds)],
            "optimisation": {
                "contrastive": {"learning_rate": 1e-3, **training},
                "probe": {"learning_rate": 1e-3, **training},
                "supervised": {"learning_rate": 5e-4, **training},
            },
            "resources": {"lanes": size.lanes},
            "output": "memory",
        }
    )


def _corpus(size: Size, people: list[str]) -> Corpus:
    """What `GroupWindows` asks of a corpus. Features carry a little of the affect."""
    generator = np.random.default_rng(0)
    num = size.people * size.windows_each
    affect = generator.normal(0, 0.3, num)
    start_s = np.tile(np.arange(size.windows_each) * 0.4, size.people)
    steps = generator.normal(0, 0.002, num)
    index = WindowIndex(
        window=np.arange(num),
        participant=np.repeat(np.array(people), size.windows_each),
        session=np.repeat(np.array([f"s{who}" for who in people]), size.windows_each),
        stimulus=np.full(num, "recola"),
        t_start_s=start_s,
        t_end_s=start_s + 4,
        affect={"arousal": affect},
        change={"arousal": np.abs(steps)},
        trend={"arousal": steps},
        session_mean={"arousal": np.zeros(num)},
    )
    features: dict[str, NDArray[np.float32]] = {}
    for name, width in WIDTHS.items():
        mixed = generator.normal(3, 2, (num, width)) + affect[:, None] * generator.normal(
            size=width
        )
        features[name] = mixed.astype(np.float32)[:, None]
    corpus: Any = SimpleNamespace(
        index=lambda stimuli: index, features=lambda name, stimuli: features[name]
    )
    return cast(Corpus, corpus)
