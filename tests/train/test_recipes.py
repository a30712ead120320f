"""How kinds of stage differ: network, inputs, loss, schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.corpus.reader import open_corpus
from pricon.errors import TrainingError
from pricon.model.keyed import key_of
from pricon.model.network import Layout, initial_parameters
from pricon.plan.plan import UNTOUCHED, Plan, Stage
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.inputs import Embeddings, Features
from pricon.train.objectives import Contrastive, Distillation, Supervised
from pricon.train.ranks import Ranks
from pricon.train.reading import resident_inputs
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.records import StageFacts, StageRecord
from pricon.train.windows import GroupWindows
from tests.tiny import build, tiny_job
from tests.train.problem import separate


@dataclass(frozen=True)
class Bench:
    """A job, its plan and its windows, for work on single packs."""

    job: JobSpec
    plan: Plan
    windows: GroupWindows

    @staticmethod
    def of(job: JobSpec) -> "Bench":
        corpus = open_corpus(open_storage(job.corpus.uri))
        plan = plan_trials(job, corpus.summary)
        return Bench(job, plan, GroupWindows(corpus, job, plan.cells[0].stimuli))

    def last_stages(self, *arms: str) -> list[Stage]:
        """The last stage of each trial of these arms, by arm, then by cell."""
        return [
            self.plan.stage_by_id[trial.stages[-1]]
            for arm in arms
            for trial in self.plan.trials
            if trial.arm == arm
        ]

    def stages(self, role: str, objective: str) -> list[Stage]:
        found = [s for s in self.plan.stages if (s.role, s.objective) == (role, objective)]
        assert len(found) >= len(self.plan.cells)
        return found

    def work(
        self, stages: Sequence[Stage], sources: Sequence[StageRecord | None] | None = None
    ) -> PackWork:
        return PackWork(
            stages=stages,
            cells=[self.plan.cells[stage.cell] for stage in stages],
            sources=sources or [None] * len(stages),
            windows=self.windows,
            job=self.job,
            ranks=Ranks(),
            device=torch.device("cpu"),
            made_with={},
        )

    def record(self, stage: Stage, **arrays: NDArray[Any]) -> StageRecord:
        """A record as `stage` would leave it, with these arrays."""
        cell = self.plan.cells[stage.cell]
        facts = StageFacts(
            stage_id=stage.id,
            role=stage.role,
            objective=stage.objective,
            modalities=stage.modalities,
            source=stage.source,
            participants={"train": cell.split.train, "validation": cell.split.validation},
            num_windows={},
            share_high={},
            curves={},
            best_epoch=0,
            layers=(),
            features={},
            made_with={},
            seconds=0.0,
            members=1,
        )
        return StageRecord(facts=facts, arrays=arrays)


def linear(
    layout: Layout, parameters: NDArray[np.float32], name: str, rows: NDArray[Any]
) -> NDArray[Any]:
    """One layer of a member, cut out of its parameters by hand."""
    position = 0
    for layer in layout.layers:
        cut = position + layer.d_in * layer.d_out
        if layer.name == name:
            weight = parameters[position:cut].reshape(layer.d_in, layer.d_out)
            found: NDArray[Any] = rows @ weight + parameters[cut : cut + layer.d_out]
            return found
        position += layer.size
    raise KeyError(name)


def embed(
    layout: Layout, parameters: NDArray[np.float32], inputs: Mapping[str, NDArray[Any]]
) -> NDArray[Any]:
    """Encoders of depth one, ReLU, fusion, ReLU, in numpy."""
    encoded = [
        np.maximum(linear(layout, parameters, f"encoder.{name}.0", inputs[name]), 0)
        for name, _ in layout.widths
    ]
    if len(encoded) > 1:
        joined = np.concatenate(encoded, axis=1)
        encoded = [np.maximum(linear(layout, parameters, "fusion", joined), 0)]
    found: NDArray[Any] = encoded[0]
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    document: dict[str, Any] = {
        "teacher": {"encoder": {"width": 12}},
        "student": {"encoder": {"width": 10, "activation": "tanh"}},
    }
    return build(tiny_job(tmp_path_factory.mktemp("tiny"), **document))


@pytest.fixture(scope="module")
def bench(built: JobSpec) -> Bench:
    return Bench.of(built)


def width(bench: Bench, modality: str) -> int:
    return int(bench.windows.raw(modality).shape[1])


def layers(layout: Layout) -> list[tuple[str, int, int]]:
    return [(layer.name, layer.d_in, layer.d_out) for layer in layout.layers]


def test_a_contrastive_teacher_has_encoders_of_everything_and_no_class_head(bench: Bench) -> None:
    recipe = recipe_for(bench.work(bench.stages("teacher", "contrastive")))
    assert layers(recipe.layout) == [
        ("encoder.frames.0", width(bench, "frames"), 12),
        ("encoder.telemetry.0", width(bench, "telemetry"), 12),
        ("fusion", 24, 12),
    ]
    assert isinstance(recipe.objective, Contrastive)
    assert recipe.objective.spec == bench.job.teacher.contrastive
    assert recipe.training == bench.job.optimisation.contrastive


def test_a_projection_head_is_asked_for(built: JobSpec) -> None:
    contrastive = built.teacher.contrastive.model_copy(update={"projection_width": 5})
    teacher = built.teacher.model_copy(update={"contrastive": contrastive})
    bench = Bench.of(built.model_copy(update={"teacher": teacher}))
    recipe = recipe_for(bench.work(bench.stages("teacher", "contrastive")))
    assert layers(recipe.layout)[-2:] == [("projection.0", 12, 12), ("projection.1", 12, 5)]


def test_a_supervised_teacher_sees_everything_and_has_a_class_head(bench: Bench) -> None:
    recipe = recipe_for(bench.work(bench.stages("teacher", "cross_entropy")))
    assert [name for name, _, _ in layers(recipe.layout)] == [
        "encoder.frames.0", "encoder.telemetry.0", "fusion", "head",
    ]  # fmt: skip
    assert layers(recipe.layout)[-1] == ("head", 12, 2)
    assert isinstance(recipe.objective, Supervised)
    assert recipe.training == bench.job.optimisation.supervised


def test_students_see_available_modalities_and_listen_by_weight(bench: Bench) -> None:
    stages = bench.last_stages("e2e", "lupi", "pricon")
    sources = [
        None if stage.source is None else bench.record(bench.plan.stage_by_id[stage.source])
        for stage in stages
    ]
    work = bench.work(stages, sources)
    recipe = recipe_for(work)
    assert layers(recipe.layout) == [
        ("encoder.frames.0", width(bench, "frames"), 10),
        ("head", 10, 2),
    ]
    assert recipe.layout.encoder == bench.job.student.encoder
    assert isinstance(recipe.objective, Distillation)
    assert recipe.objective.weight.tolist() == [0.0, 0.0, 0.25, 0.25, 0.25, 0.25]
    assert recipe.training == bench.job.optimisation.supervised
    inputs = resident_inputs(work, recipe)
    assert isinstance(inputs, Features)
    assert {*inputs.raw} == {"frames"}


@pytest.mark.parametrize(
    ("role", "objective", "name"),
    [
        ("teacher", "contrastive", "contrastive_temperature"),
        ("student", "distillation", "distillation_weight"),
        ("student", "distillation", "distillation_temperature"),
    ],
)
def test_no_stage_trains_with_a_value_that_nobody_gave(
    bench: Bench, role: str, objective: str, name: str
) -> None:
    stage = next(s for s in bench.stages(role, objective) if s.setting != UNTOUCHED)
    lacking = replace(stage, setting=replace(stage.setting, **{name: None}))
    with pytest.raises(TrainingError, match=f"stage {stage.id} has no `{name}`") as caught:
        recipe_for(bench.work([lacking]))
    assert caught.value.hint == "submit the job again: a plan of this version of pricon has it"


def test_what_touches_no_member_is_not_asked_for(built: JobSpec, bench: Bench) -> None:
    encoder = replace(bench.stages("teacher", "contrastive")[0], objective="random")
    untold = recipe_for(bench.work([replace(encoder, setting=UNTOUCHED)])).objective
    assert isinstance(untold, Contrastive)
    assert untold.temperature.tolist() == [1]
    imitate = built.student.distillation.model_copy(update={"imitate": "embedding"})
    widths = {"distillation": imitate, "encoder": built.teacher.encoder}
    student = built.student.model_copy(update=widths)
    embedding = Bench.of(built.model_copy(update={"student": student, "arms": ("e2e", "lupi")}))
    members = embedding.last_stages("e2e", "lupi")
    objective = recipe_for(embedding.work(members)).objective
    assert isinstance(objective, Distillation)
    assert objective.weight.tolist() == [0, 0, 0.25, 0.25]
    assert objective.temperature.tolist() == [1] * 4


def test_features_are_standardised_by_each_members_own_fold(bench: Bench) -> None:
    stages = bench.stages("teacher", "cross_entropy")
    recipe = recipe_for(bench.work(stages))
    num = len(bench.windows.index)
    rows = torch.arange(num).expand(len(stages), -1)
    inputs = resident_inputs(bench.work(stages), recipe)
    found = inputs.gather(torch.arange(len(stages)), separate(len(stages)), rows)
    for name in ("frames", "telemetry"):
        for member, stage in enumerate(stages):
            cell = bench.plan.cells[stage.cell]
            fitted = bench.windows.standardiser(cell, name)
            expected = fitted.apply(bench.windows.raw(name))
            assert np.array_equal(found[name][member].numpy(), expected)
            training = expected[bench.windows.rows(cell, "train")][:, fitted.kept]
            assert np.abs(training.mean(axis=0)).max() < 1e-4
            assert np.abs(training.std(axis=0) - 1).max() < 1e-3
        assert not torch.equal(found[name][0], found[name][1])


@pytest.mark.parametrize("projection_width", [0, 5])
def test_a_probe_reads_what_the_frozen_encoder_makes_of_standardised_features(
    built: JobSpec, projection_width: int
) -> None:
    contrastive = built.teacher.contrastive.model_copy(
        update={"projection_width": projection_width}
    )
    teacher = built.teacher.model_copy(update={"contrastive": contrastive})
    bench = Bench.of(built.model_copy(update={"teacher": teacher}))
    sources = bench.stages("teacher", "contrastive")
    layout = recipe_for(bench.work(sources)).layout
    keys = torch.tensor([key_of("source", member) for member in range(len(sources))])
    parameters = initial_parameters(layout, keys).numpy()
    records = [
        bench.record(stage, parameters=row) for stage, row in zip(sources, parameters, strict=True)
    ]
    probes = bench.stages("probe", "cross_entropy")
    assert [probe.source for probe in probes] == [stage.id for stage in sources]
    recipe = recipe_for(bench.work(probes, records))
    assert layers(recipe.layout) == [("head", 12, 2)]
    assert isinstance(recipe.objective, Supervised)
    assert recipe.training == bench.job.optimisation.probe
    inputs = resident_inputs(bench.work(probes, records), recipe)
    assert isinstance(inputs, Embeddings)
    assert not inputs.values.requires_grad
    for member, stage in enumerate(probes):
        cell = bench.plan.cells[stage.cell]
        shown = {
            name: bench.windows.standardiser(cell, name).apply(bench.windows.raw(name))
            for name in stage.modalities
        }
        expected = embed(layout, parameters[member], shown)
        assert np.allclose(inputs.values[member].numpy(), expected, rtol=0, atol=1e-5)
        assert expected.std() > 0.05
