"""How a teacher, a probe and a student are trained: network, inputs, loss, schedule.

The only place where kinds of stage differ; the loop sees none of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricon.corpus.labels import Classes, Values
from pricon.errors import TrainingError
from pricon.model.network import EMBEDDING, Head, Layout, PackedNetwork
from pricon.plan.plan import CLASS_STAGES, Cell, Role, Stage
from pricon.spec.job import JobSpec
from pricon.spec.task import Task
from pricon.spec.training import EncoderSpec, StageSpec
from pricon.train.losses import cross_entropy, squared_error
from pricon.train.objectives import Contrastive, Distillation, Objective, Supervised, WindowLoss
from pricon.train.ranks import Ranks
from pricon.train.records import StageRecord
from pricon.train.streamed_windows import StreamedWindows
from pricon.train.windows import GroupWindows, SplitPart

_HEADS: Mapping[Task, Head] = {"classification": "classes", "regression": "value"}
_LOSSES: Mapping[Task, WindowLoss] = {
    "classification": cross_entropy,
    "regression": squared_error,
}


Windows = GroupWindows | StreamedWindows
"""Windows whose features are in memory, or pass by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackWork:
    """One pack to train.

    Args:
        stages: its members; equal in role, objective and modalities.
        cells: the cell of each member.
        sources: the record of each member's source; None where it has none.
        windows: what there is to read.
        job: what all members have in common; what a grid varies stands in their stages.
        ranks: processes that share the pack.
        device: where tensors live.
        made_with: commit, versions and device, for the records.
    """

    stages: Sequence[Stage]
    cells: Sequence[Cell]
    sources: Sequence[StageRecord | None]
    windows: Windows
    job: JobSpec
    ranks: Ranks
    device: torch.device
    made_with: Mapping[str, str]

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the members may see."""
        return self.stages[0].modalities

    @property
    def encoder(self) -> EncoderSpec:
        """What the members see it with."""
        return encoder_of(self.job, self.stages[0].role)

    @property
    def counted(self) -> Windows:
        """Windows that the members learn from and are recorded with."""
        is_told_classes = self.stages[0].objective in CLASS_STAGES
        return self.windows.contrastive if is_told_classes else self.windows

    @property
    def standardised(self) -> Windows:
        """Windows that standardised the features: a probe reads what its encoder read."""
        return self.windows.contrastive if self.stages[0].role == "probe" else self.counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one pack is trained.

    Args:
        layout: its networks.
        objective: what they minimise.
        training: for how long.
        labels: cell -> what the network is told of every window, shape (windows,), before any
            shuffling.
        rows: cell and split -> rows of the windows that count, rising.
        is_trained: whether there is anything to train; if not, networks stay as initialised.
        is_stratified: whether batches have their share of every participant and label.
        frozen: encoders, one a member, whose embeddings are what the networks read; None where
            networks read features.
    """

    layout: Layout
    objective: Objective
    training: StageSpec
    labels: Callable[[Cell], Classes | Values]
    rows: Callable[[Cell, SplitPart], NDArray[np.int64]]
    is_trained: bool = True
    is_stratified: bool = False
    frozen: PackedNetwork | None = None


def encoder_of(job: JobSpec, role: Role) -> EncoderSpec:
    """The encoder of a stage, or the frozen one behind a probe."""
    return job.student.encoder if role == "student" else job.teacher.encoder


def recipe_for(work: PackWork) -> Recipe:
    """The recipe of a pack's stages."""
    match work.stages[0].role, work.stages[0].objective:
        case "teacher", "contrastive" | "random":
            return contrastive_teacher(work)
        case "teacher", _:
            return supervised_teacher(work)
        case "probe", _:
            return probe(work)
        case _:
            return student(work)


def contrastive_teacher(work: PackWork) -> Recipe:
    """Encoder under the supervised contrastive loss; no class head yet."""
    return Recipe(
        layout=_contrastive_layout(work),
        objective=Contrastive(
            work.job.teacher.contrastive,
            _by_member(work, "contrastive_temperature", lambda one: one.objective == "random", 1),
            work.ranks,
        ),
        training=work.job.optimisation.contrastive,
        labels=work.windows.contrast,
        rows=work.windows.contrast_rows,
        is_trained=work.stages[0].objective == "contrastive",
        is_stratified=work.job.teacher.contrastive.sampler == "stratified",
    )


def supervised_teacher(work: PackWork) -> Recipe:
    """Encoder and head under the loss of the task."""
    return Recipe(
        layout=_predicting_layout(work),
        objective=Supervised(_LOSSES[work.job.task]),
        training=work.job.optimisation.supervised,
        labels=work.windows.told,
        rows=work.windows.rows,
    )


def probe(work: PackWork) -> Recipe:
    """A head on what the frozen contrastive encoder makes of each window."""
    encoder = work.encoder
    return Recipe(
        layout=Layout(
            widths=((EMBEDDING, encoder.width),),
            encoder=encoder,
            head=_HEADS[work.job.task],
            is_probe=True,
        ),
        frozen=_frozen(work),
        objective=Supervised(_LOSSES[work.job.task]),
        training=work.job.optimisation.probe,
        labels=work.windows.told,
        rows=work.windows.rows,
    )


def student(work: PackWork) -> Recipe:
    """Encoder of the available modalities and head; a member without teacher has a = 0."""
    spec = work.job.student.distillation
    return Recipe(
        layout=_predicting_layout(work),
        objective=Distillation(
            spec,
            weight=_by_member(work, "distillation_weight", _is_untaught, 0),
            temperature=_by_member(
                work,
                "distillation_temperature",
                lambda one: _is_untaught(one) or spec.imitate == "embedding",
                1,
            ),
            loss=_LOSSES[work.job.task],
        ),
        training=work.job.optimisation.supervised,
        labels=work.windows.told,
        rows=work.windows.rows,
    )


def _is_untaught(stage: Stage) -> bool:
    return stage.source is None


def _by_member(
    work: PackWork, name: str, has_none: Callable[[Stage], bool], unused: float
) -> Tensor:
    """One value of each member's setting, float32, shape (members,).

    Args:
        work: the pack.
        name: which value.
        has_none: whether it cannot touch a stage, which then gets `unused`.
        unused: keeps the tensor whole, and its loss finite.

    Raises:
        TrainingError: a stage that it touches lacks it.
    """
    values = []
    for stage in work.stages:
        value = unused if has_none(stage) else stage.setting.to_dict()[name]
        if value is None:
            raise TrainingError(
                f"stage {stage.id} has no `{name}` in its setting, and would train with a made-up "
                "one",
                "submit the job again: a plan of this version of pricon has it",
            )
        values.append(value)
    return torch.tensor(values, dtype=torch.float32, device=work.device)


def _widths(work: PackWork) -> tuple[tuple[str, int], ...]:
    return tuple((name, work.windows.width(name)) for name in work.modalities)


def _predicting_layout(work: PackWork) -> Layout:
    return Layout(widths=_widths(work), encoder=work.encoder, head=_HEADS[work.job.task])


def _contrastive_layout(work: PackWork) -> Layout:
    projection_width = work.job.teacher.contrastive.projection_width
    return Layout(
        widths=_widths(work),
        encoder=work.encoder,
        head="projection" if projection_width else "none",
        projection_width=projection_width,
    )


def _frozen(work: PackWork) -> PackedNetwork:
    """The contrastive encoder of each member."""
    parameters = [source.arrays["parameters"] for source in work.sources if source is not None]
    stacked = torch.from_numpy(np.stack(parameters)).to(work.device)
    return PackedNetwork(_contrastive_layout(work), stacked)
