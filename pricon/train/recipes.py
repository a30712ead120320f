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
from pricon.model.keyed import Streams
from pricon.model.network import EMBEDDING, Head, Layout, PackedNetwork
from pricon.plan.plan import CLASS_STAGES, Cell, Role, Stage
from pricon.spec.job import JobSpec
from pricon.spec.task import Task
from pricon.spec.training import EncoderSpec, StageSpec
from pricon.train.evaluation import evaluate
from pricon.train.examples import Embeddings, Features, Inputs
from pricon.train.losses import cross_entropy, squared_error
from pricon.train.objectives import Contrastive, Distillation, Objective, Supervised, WindowLoss
from pricon.train.ranks import Ranks
from pricon.train.records import StageRecord
from pricon.train.windows import GroupWindows, SplitPart

_HEADS: Mapping[Task, Head] = {"classification": "classes", "regression": "value"}
_LOSSES: Mapping[Task, WindowLoss] = {
    "classification": cross_entropy,
    "regression": squared_error,
}


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
    windows: GroupWindows
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
    def counted(self) -> GroupWindows:
        """Windows that the members learn from and are recorded with."""
        is_told_classes = self.stages[0].objective in CLASS_STAGES
        return self.windows.contrastive if is_told_classes else self.windows

    @property
    def standardised(self) -> GroupWindows:
        """Windows that standardised the features: a probe reads what its encoder read."""
        return self.windows.contrastive if self.stages[0].role == "probe" else self.counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one pack is trained.

    Args:
        layout: its networks.
        inputs: what they read.
        objective: what they minimise.
        training: for how long.
        labels: cell -> what the network is told of every window, shape (windows,), before any
            shuffling.
        rows: cell and split -> rows of the windows that count, rising.
        is_trained: whether there is anything to train; if not, networks stay as initialised.
        is_stratified: whether batches have their share of every participant and label.
    """

    layout: Layout
    inputs: Inputs
    objective: Objective
    training: StageSpec
    labels: Callable[[Cell], Classes | Values]
    rows: Callable[[Cell, SplitPart], NDArray[np.int64]]
    is_trained: bool = True
    is_stratified: bool = False


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
        inputs=_features(work),
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
        inputs=_features(work),
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
        inputs=Embeddings(_frozen_embeddings(work)),
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
        inputs=_features(work),
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
    as_sequence = work.encoder.reads_frames
    return tuple((name, work.windows.raw(name, as_sequence).shape[-1]) for name in work.modalities)


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


def streams_of(work: PackWork) -> Streams:
    """Stages of one cell see the same windows, standardised alike."""
    return Streams.among([stage.cell for stage in work.stages], work.device)


def _features(work: PackWork) -> Features:
    """Features of the pack's modalities on its device; no other modality is fetched."""
    raw, mean, scale = {}, {}, {}
    as_sequence = work.encoder.reads_frames
    for name in work.modalities:
        fitted = [work.standardised.standardiser(cell, name, as_sequence) for cell in work.cells]
        raw[name] = torch.from_numpy(work.windows.raw(name, as_sequence)).to(work.device)
        mean[name] = torch.from_numpy(np.stack([one.mean for one in fitted])).to(work.device)
        scale[name] = torch.from_numpy(np.stack([one.scale for one in fitted])).to(work.device)
    return Features(raw, mean, scale)


@torch.no_grad()
def _frozen_embeddings(work: PackWork) -> Tensor:
    """Embeddings of all windows by each member's encoder, shape (members, windows, width)."""
    parameters = [source.arrays["parameters"] for source in work.sources if source is not None]
    stacked = torch.from_numpy(np.stack(parameters)).to(work.device)
    encoders = PackedNetwork(_contrastive_layout(work), stacked)
    streams = streams_of(work)
    num_windows = len(work.windows.index.window)
    rows = torch.arange(num_windows, device=work.device).expand(len(streams.first), -1)
    return evaluate(encoders, _features(work), rows, streams).embeddings
