"""JobSpec: everything that one job file can say.

Owns the shape of `jobs/*.yaml`. Does no input or output (see `spec.load`).
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pricon.spec.base import ContradictionError, Spec
from pricon.spec.corpus import Affect, CorpusSpec, RecolaSpec
from pricon.spec.folds import FoldSpec, Seed
from pricon.spec.label import LabelSpec, customary_label
from pricon.spec.report import ReportSpec
from pricon.spec.resources import Place, ResourcesSpec, StorageSpec, Target, TrackingSpec
from pricon.spec.sensitivity import SensitivitySpec, refuse_unanswerable
from pricon.spec.statistics import StatisticsSpec
from pricon.spec.task import (
    Task,
    customary_arms,
    customary_distillation,
    customary_statistics,
    refuse_arms,
)
from pricon.spec.training import OptimisationSpec, StudentSpec, TeacherSpec

Arm = Literal[
    "majority",
    "time_only",
    "e2e",
    "scl",
    "lupi",
    "lupi_privileged",
    "pricon",
    "pricon_privileged",
    "pricon_shuffled",
    "pricon_random",
    "all_modalities",
    "scl_all_modalities",
]
"""Conditions, in the order of the rows of a table: references first and last."""

SELF_SUFFICIENT: tuple[Arm, ...] = ("majority", "time_only", "e2e", "scl")
"""Arms that have no use for privileged modalities."""

PARENTS: dict[str, Arm] = {"pricon_shuffled": "pricon", "pricon_random": "pricon"}
"""Controls that differ from one arm in one thing, and say nothing without it."""

Modality = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _as_set(value: object) -> object:
    """One name may be written without brackets."""
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


_Set = Annotated[tuple[Modality, ...], Field(min_length=1)]
AvailableSet = Annotated[_Set, BeforeValidator(_as_set, json_schema_input_type=Modality | _Set)]
_Affects = Annotated[tuple[Affect, ...], Field(min_length=1)]
AffectSet = Annotated[_Affects, BeforeValidator(_as_set, json_schema_input_type=Affect | _Affects)]


class ModalitiesSpec(Spec):
    """Which modalities there are in the wild, and which only the lab has.

    For a student everything that it may not see is privileged: `privileged`, and what only other
    entries of `available` have.
    """

    available: tuple[AvailableSet, ...] = Field(min_length=1)
    """What students may see. Each entry (a modality, or a list of them) is a student of its own."""

    privileged: tuple[Modality, ...] = ()
    """What only teachers see, whoever the student is."""

    @model_validator(mode="after")
    def _named_once(self) -> "ModalitiesSpec":
        for entry in self.available:
            _refuse_repeats(entry, "available")
        _refuse_repeats(tuple("+".join(sorted(entry)) for entry in self.available), "available")
        _refuse_repeats(self.privileged, "privileged")
        both = {name for entry in self.available for name in entry} & set(self.privileged)
        if both:
            raise ValueError(f"`{min(both)}` is named twice: as available and as privileged")
        return self

    @property
    def everything(self) -> tuple[str, ...]:
        """All modalities of the job (M), sorted: what a teacher sees."""
        return tuple(sorted({m for entry in self.available for m in entry} | {*self.privileged}))


def _refuse_repeats(names: tuple[str, ...], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`{name}` is named twice in `{where}`")


class JobSpec(Spec):
    """A whole comparison of arms by participant-wise cross-validation."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$")
    """Lower-case letters, digits and hyphens; also the MLflow experiment."""

    corpus: CorpusSpec
    """Where recordings and corpus lie, and how windows are cut."""

    stimuli: tuple[str, ...] = ()
    """Stimuli (games, videos) to use; empty means all that the corpus holds."""

    stimulus_models: Literal["each", "pooled"] = "each"
    """One model for each stimulus, or one over all of them."""

    affects: AffectSet = ("arousal",)
    """The annotated quantities to predict, each by models of its own."""

    task: Task = "classification"
    """Tell classes apart, or predict the affect value itself: squared errors instead of
    cross-entropy, judged by CCC instead of accuracy."""

    label: LabelSpec = LabelSpec()
    """How a trace becomes a class."""

    modalities: ModalitiesSpec
    """Available and privileged modalities."""

    standardise: Literal["training", "session"] = "training"
    """z-score by the fold's training windows; `session` z-scores each session by itself first,
    which looks at the whole session and so is not causal (the report says so)."""

    incomplete_features: Literal["drop", "impute"] | None = None
    """What to do with a feature that is not recorded in all training windows of a fold: leave it
    out, or fit mean and deviation on the windows that have it and take the mean elsewhere (0 after
    standardisation). Null is the custom of the corpus: drop on AGAIN, whose columns belong to
    genres; impute on RECOLA, whose faces are lost now and then."""

    arms: tuple[Arm, ...] = ("majority", "e2e", "lupi", "pricon", "all_modalities")
    """Conditions to compare; under regression there is no `majority`. `time_only`,
    `pricon_shuffled` (teacher of shuffled labels) and `pricon_random` (probe on an encoder that
    nobody trained) are controls."""

    folds: FoldSpec = FoldSpec()
    """Cross-validation."""

    seeds: tuple[Seed, ...] = Field((0, 1, 2, 3, 4), min_length=1)
    """A seed changes validation participants, initial weights, dropout and batch order. [A] C-SCL:
    five."""

    teacher: TeacherSpec = TeacherSpec()
    """The network that sees privileged modalities."""

    student: StudentSpec = StudentSpec()
    """The network that does not."""

    optimisation: OptimisationSpec = OptimisationSpec()
    """How both are trained."""

    sensitivity: SensitivitySpec | None = None
    """A grid of settings to train every arm with, judged on validation participants instead of
    test ones; null trains with the job's own and judges on test participants."""

    statistics: StatisticsSpec = StatisticsSpec()
    """What the report may conclude; changes no trial."""

    report: ReportSpec = ReportSpec()
    """How the report shows it; changes no trial."""

    resources: ResourcesSpec = ResourcesSpec()
    """How wide the run is; changes no result."""

    storage: StorageSpec = StorageSpec()
    """The object store."""

    tracking: TrackingSpec = TrackingSpec()
    """MLflow."""

    output: Place = Field("runs", min_length=1)
    """Folder or `s3://bucket/prefix` for everything that runs leave behind."""

    target: Target = "local"
    """`local` starts Ray on this machine; `inprocess` works without Ray, one lane after the
    other; `kubernetes` sends the job to a cluster with pricon's chart; `ray://host:port` or the
    `http` address of a dashboard sends it to a Ray cluster; `ray` runs it on the Ray cluster that
    this process belongs to."""

    @model_validator(mode="after")
    def _customs_of_the_corpus(self) -> "JobSpec":
        """Replace null by what the corpus' literature does, so that a run records what it did."""
        is_recola = isinstance(self.corpus, RecolaSpec)
        self.__dict__["label"] = customary_label(self.label, self.corpus)
        contrastive = self.teacher.contrastive
        if contrastive.contrast == "change" and contrastive.change_threshold is None:
            steps = {"arousal": 0.0017, "valence": 0.0013} if is_recola else "training_median"
            custom = {"change_threshold": steps}
            custom_teacher = {"contrastive": contrastive.model_copy(update=custom)}
            self.__dict__["teacher"] = self.teacher.model_copy(update=custom_teacher)
        if self.incomplete_features is None:
            self.__dict__["incomplete_features"] = "impute" if is_recola else "drop"
        return self

    @model_validator(mode="after")
    def _customs_of_the_task(self) -> "JobSpec":
        """Replace null by what suits the task, refuse what does not."""
        if "arms" not in self.model_fields_set:
            self.__dict__["arms"] = customary_arms(self.arms, self.task)
        refuse_arms(self.arms, self.task)
        distillation = customary_distillation(self.student.distillation, self.task)
        self.__dict__["student"] = self.student.model_copy(update={"distillation": distillation})
        self.__dict__["statistics"] = customary_statistics(self.statistics, self.task)
        return self

    @model_validator(mode="after")
    def _thresholds_of_all_affects(self) -> "JobSpec":
        thresholds = {
            "label.threshold": self.label.threshold,
            "teacher.contrastive.change_threshold": self.teacher.contrastive.change_threshold,
        }
        for key, given in thresholds.items():
            missing = [a for a in self.affects if isinstance(given, dict) and a not in given]
            if missing:
                raise ValueError(f"`{key}` has no value for `{missing[0]}`, which is in `affects`")
        return self

    @model_validator(mode="after")
    def _encoders_over_time_have_frames(self) -> "JobSpec":
        frames = self.corpus.windows.frames
        for who, encoder in (("teacher", self.teacher.encoder), ("student", self.student.encoder)):
            if encoder.reads_frames and frames == 1:
                raise ContradictionError(
                    f"`{who}.encoder.kind: {encoder.kind}` reads the frames of a window, and "
                    "`corpus.windows.frames` is 1",
                    "set `corpus.windows.frames: 12`, for example, and give `corpus.uri` a new "
                    "place; or remove `kind`",
                )
        return self

    @model_validator(mode="after")
    def _embeddings_of_one_width(self) -> "JobSpec":
        widths = self.teacher.encoder.width, self.student.encoder.width
        if self.student.distillation.imitate == "embedding" and widths[0] != widths[1]:
            raise ValueError(
                "`student.distillation.imitate: embedding` compares embeddings of one width, but "
                f"`teacher.encoder.width` is {widths[0]} and `student.encoder.width` {widths[1]}"
            )
        return self

    @model_validator(mode="after")
    def _arms_have_what_they_need(self) -> "JobSpec":
        everything = {*self.modalities.everything}
        idle = [entry for entry in self.modalities.available if everything <= {*entry}]
        for arm in self.arms:
            if idle and arm not in SELF_SUFFICIENT:
                raise ContradictionError(
                    f"arm `{arm}` learns from privileged modalities, and nothing is privileged for "
                    f"the student of `{'+'.join(idle[0])}`",
                    "name what only the lab has in `modalities.privileged`, or leave the arm out",
                )
            if arm in PARENTS and PARENTS[arm] not in self.arms:
                raise ContradictionError(
                    f"`arms` names `{arm}`, a control of `{PARENTS[arm]}`, which is not among them",
                    f"add `{PARENTS[arm]}` to `arms`",
                )
        return self

    @model_validator(mode="after")
    def _streams_in_one_order(self) -> "JobSpec":
        if self.optimisation.streaming and self.teacher.contrastive.sampler == "stratified":
            raise ContradictionError(
                "`teacher.contrastive.sampler: stratified` orders windows that are in memory, and "
                "`optimisation.streaming` reads them in the order of their shards",
                "remove one of the two",
            )
        return self

    @model_validator(mode="after")
    def _lists_name_things_once(self) -> "JobSpec":
        if not self.arms:
            raise ValueError("`arms` is empty; name at least one arm")
        _refuse_repeats(tuple(self.arms), "arms")
        _refuse_repeats(tuple(map(str, self.seeds)), "seeds")
        _refuse_repeats(self.stimuli, "stimuli")
        _refuse_repeats(tuple(self.affects), "affects")
        return self

    @model_validator(mode="after")
    def _a_grid_has_an_answer(self) -> "JobSpec":
        if self.sensitivity is not None:
            distillation, contrastive = self.student.distillation, self.teacher.contrastive
            refuse_unanswerable(self.sensitivity, self.arms, distillation, contrastive)
        return self
