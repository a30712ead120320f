"""Plan: the trials of a job, the stages they share, and the lanes that work through them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Literal, TypeVar

from pydantic import TypeAdapter

from pricon.spec.corpus import Affect
from pricon.spec.job import Arm
from pricon.spec.task import Task

Role = Literal["majority", "teacher", "probe", "student"]
Objective = Literal[
    "majority", "contrastive", "random", "cross_entropy", "squared_error", "distillation"
]
Labels = Literal["true", "shuffled"]
Judge = Literal["validation", "test"]
"""The split whose participants judge a model."""

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
class Setting:
    """What a job may vary (`spec.sensitivity`); None is what does not touch a stage or trial.

    Args:
        distillation_weight: a, the teacher's weight in the student's loss.
        distillation_temperature: T, of the softmax of teacher and student.
        contrastive_temperature: tau, of the contrastive loss.
    """

    distillation_weight: float | None = None
    distillation_temperature: float | None = None
    contrastive_temperature: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """The values by name."""
        return asdict(self)

    @staticmethod
    def union(settings: "Iterable[Setting]") -> "Setting":
        """What touches any stage of a chain, in which no two say different things."""
        found: dict[str, float] = {}
        for setting in settings:
            found |= {name: v for name, v in setting.to_dict().items() if v is not None}
        return Setting(**found)

    def agrees(self, other: "Setting") -> bool:
        """Whether the two say the same wherever both say something."""
        pairs = zip(self.to_dict().values(), other.to_dict().values(), strict=True)
        return all(one is None or two is None or one == two for one, two in pairs)

    def __str__(self) -> str:
        named = zip(("a", "T", "tau"), self.to_dict().values(), strict=True)
        return ", ".join(f"{name} {value:g}" for name, value in named if value is not None)


UNTOUCHED = Setting()
"""What no setting touches: an end-to-end student, and every trial of a job without a grid."""


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
        setting: those of its numbers that a job may vary.
        judged_on: the split it is evaluated on; None for an encoder without a class head.
    """

    id: str
    role: Role
    objective: Objective
    modalities: tuple[str, ...]
    cell: int
    source: str | None = None
    labels: Labels = "true"
    setting: Setting = UNTOUCHED
    judged_on: Judge | None = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The unit of results: arm x available modalities x cell.

    Args:
        id: hash of the arm and of its last stage.
        arm: condition.
        available: modalities that the deployed model needs, sorted.
        cell: index into the plan's cells.
        stages: ids of its chain, first to last; the last one is evaluated.
        setting: its point of the job's grid, as far as it touches the trial.
    """

    id: str
    arm: Arm
    available: tuple[str, ...]
    cell: int
    stages: tuple[str, ...]
    setting: Setting = UNTOUCHED

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
        run_id: hash of all trial ids, and of a grid's own point: the same job on the same corpus is
            the same run.
        job_name: the job's name.
        corpus_digest: SHA-256 of the corpus' manifest.
        generated: whether the recordings were written by a generator.
        num_cells_of_job: cells of the whole job, also when only some folds were asked for.
        grid: every point of the job's grid, the job's own first; empty without one.
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
    grid: tuple[Setting, ...] = ()
    task: Task = "classification"

    @cached_property
    def stage_by_id(self) -> Mapping[str, Stage]:
        """Stages by their id."""
        return {stage.id: stage for stage in self.stages}

    @property
    def judged_on(self) -> Judge:
        """Whose participants judge the trials: a grid is for choosing, so it spares test ones."""
        return "validation" if self.grid else "test"

    @property
    def is_whole(self) -> bool:
        """Whether all folds of the job are planned."""
        return len(self.cells) == self.num_cells_of_job

    @cached_property
    def lane_by_cell(self) -> Mapping[int, int]:
        """Index of the lane that works on a cell, by that of the cell."""
        return {cell: lane.index for lane in self.lanes for cell in lane.cells}

    @cached_property
    def _stages_by_cell(self) -> Mapping[int, Sequence[Stage]]:
        return _by_cell(self.stages)

    @cached_property
    def _trials_by_cell(self) -> Mapping[int, Sequence[Trial]]:
        return _by_cell(self.trials)

    def stages_of(self, lane: Lane) -> Iterable[Stage]:
        """Stages of a lane, teachers before their students."""
        return chain.from_iterable(self._stages_by_cell.get(cell, ()) for cell in lane.cells)

    def only(self, lane: Lane) -> "Plan":
        """The plan of one lane alone: all that its workers need to know.

        Cells are counted anew; everything keeps its id, and the lane its index. All lanes together
        are as large as the plan, where the whole plan for each would be as large as its square.
        """
        place = {cell: at for at, cell in enumerate(lane.cells)}
        trials = chain.from_iterable(self._trials_by_cell.get(cell, ()) for cell in lane.cells)
        return replace(
            self,
            cells=tuple(self.cells[cell] for cell in lane.cells),
            stages=tuple(replace(one, cell=place[one.cell]) for one in self.stages_of(lane)),
            trials=tuple(replace(trial, cell=place[trial.cell]) for trial in trials),
            lanes=(Lane(index=lane.index, cells=tuple(place.values())),),
        )

    def to_json(self) -> bytes:
        """The plan as indented JSON."""
        return _ADAPTER.dump_json(self, indent=1)

    @staticmethod
    def from_json(data: bytes) -> "Plan":
        """The plan that `to_json` wrote."""
        return _ADAPTER.validate_json(data)


_Placed = TypeVar("_Placed", Stage, Trial)


def _by_cell(placed: Iterable[_Placed]) -> Mapping[int, Sequence[_Placed]]:
    """The same in their order, by the index of their cell."""
    found: dict[int, list[_Placed]] = {}
    for one in placed:
        found.setdefault(one.cell, []).append(one)
    return found


_ADAPTER = TypeAdapter(Plan)
