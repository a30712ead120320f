"""Plan: the trials of a job, the stages they share, and the lanes that work through them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import TypeAdapter

from pricon.spec.corpus import Affect
from pricon.spec.job import Arm
from pricon.spec.task import Task

Role = Literal["majority", "teacher", "probe", "student"]
Objective = Literal[
    "majority", "contrastive", "random", "cross_entropy", "squared_error", "distillation"
]
Labels = Literal["true", "shuffled"]

CLASS_STAGES: frozenset[Objective] = frozenset({"majority", "contrastive", "random"})
"""Objectives of stages that see classes, whatever the task of the job."""

POSITION = "position"
"""What stands in a modality's place where only the time in the session may be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Participants of one fold under one seed; nobody is in two parts."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One stimulus group x affect x fold x seed: what shares a lane because it shares teachers.

    Args:
        stimuli: whose windows the cell's models see.
        affect: what they predict.
        fold: index from 0.
        seed: one of the job's seeds.
        split: participants of train, validation and test.
    """

    stimuli: tuple[str, ...]
    affect: Affect
    fold: int
    seed: int
    split: Split

    @property
    def stimulus(self) -> str:
        """The group in one word, for tables and tags."""
        return "+".join(self.stimuli)

    def __str__(self) -> str:
        return f"{self.stimulus} {self.affect} fold {self.fold} seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One model to train, or the majority class to count.

    Args:
        id: hash of everything that affects its weights and predictions.
        role: its place in the chain teacher -> probe -> student.
        objective: the loss it minimises; `random` leaves a network as it was initialised.
        modalities: what it may see, sorted.
        cell: index into the plan's cells.
        source: id of the stage it builds on: a probe's frozen encoder, a student's teacher
            (None for a student that is trained end to end).
        labels: what it is trained on; shuffled ones belong to other windows of the same split.
    """

    id: str
    role: Role
    objective: Objective
    modalities: tuple[str, ...]
    cell: int
    source: str | None = None
    labels: Labels = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The unit of results: arm x available modalities x cell.

    Args:
        id: hash of the arm and of its last stage.
        arm: condition.
        available: modalities that the deployed model needs, sorted.
        cell: index into the plan's cells.
        stages: ids of its chain, first to last; the last one is evaluated on the test split.
    """

    id: str
    arm: Arm
    available: tuple[str, ...]
    cell: int
    stages: tuple[str, ...]

    @property
    def modality(self) -> str:
        """Its modalities in one word, for tables and tags."""
        return "+".join(self.available)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The cells that one Ray Train run works through."""

    index: int
    cells: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that will run, as data.

    Args:
        run_id: hash of all trial ids: the same job on the same corpus is the same run.
        job_name: the job's name.
        corpus_digest: SHA-256 of the corpus' manifest.
        generated: whether the recordings were written by a generator.
        num_cells_of_job: cells of the whole job, also when only some folds were asked for.
        task: what its models predict.
    """

    run_id: str
    job_name: str
    corpus_digest: str
    generated: bool
    num_cells_of_job: int
    cells: tuple[Cell, ...]
    stages: tuple[Stage, ...]
    trials: tuple[Trial, ...]
    lanes: tuple[Lane, ...]
    task: Task = "classification"

    @cached_property
    def stage_by_id(self) -> Mapping[str, Stage]:
        """Stages by their id."""
        return {stage.id: stage for stage in self.stages}

    @property
    def is_whole(self) -> bool:
        """Whether all folds of the job are planned."""
        return len(self.cells) == self.num_cells_of_job

    def stages_of(self, lane: Lane) -> Iterable[Stage]:
        """Stages of a lane, teachers before their students."""
        cells = {*lane.cells}
        return (stage for stage in self.stages if stage.cell in cells)

    def to_json(self) -> bytes:
        """The plan as indented JSON."""
        return _ADAPTER.dump_json(self, indent=1)

    @staticmethod
    def from_json(data: bytes) -> "Plan":
        """The plan that `to_json` wrote."""
        return _ADAPTER.validate_json(data)


_ADAPTER = TypeAdapter(Plan)
