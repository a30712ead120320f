"""Stages of a regression job: what they are told, what they leave behind."""

from typing import Any

import numpy as np
import pytest
import torch

from pricon.model.network import PackedNetwork
from pricon.plan.plan import Stage
from pricon.spec.job import JobSpec
from pricon.train.evaluation import evaluate
from pricon.train.inputs import Embeddings
from pricon.train.reading import resident_inputs
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.records import StageRecord
from tests.tiny import build, tiny_job
from tests.train.test_reading import answers_of, labels_of
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained

ARMS = ["e2e", "lupi", "pricon", "pricon_shuffled"]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    student = {"distillation": {"weight": 0.9}}
    folder = tmp_path_factory.mktemp("tiny")
    return build(tiny_job(folder, task="regression", arms=ARMS, student=student))


@pytest.fixture(scope="module")
def bench(job: JobSpec) -> Bench:
    return Bench.of(job)


@pytest.fixture(scope="module")
def encoders(bench: Bench) -> dict[str, StageRecord]:
    """Records of all contrastive encoders, by stage."""
    return records(bench.work(bench.stages("teacher", "contrastive")))


@pytest.fixture(scope="module")
def teachers(bench: Bench, encoders: dict[str, StageRecord]) -> dict[str, StageRecord]:
    """Records of all that students can learn from, by stage."""
    supervised = records(bench.work(bench.stages("teacher", "squared_error")))
    probes = bench.stages("probe", "squared_error")
    return supervised | records(taught_by(bench, probes, encoders))


def records(work: PackWork) -> dict[str, StageRecord]:
    return {record.facts.stage_id: record for record in trained(work)}


def taught_by(bench: Bench, stages: list[Stage], sources: dict[str, StageRecord]) -> PackWork:
    return bench.work(stages, [sources[stage.source or ""] for stage in stages])


def test_contrastive_encoders_do_not_know_the_task(
    job: JobSpec, bench: Bench, encoders: dict[str, StageRecord]
) -> None:
    """To the bit those of a classification job, with the same name: both jobs share them."""
    document: dict[str, Any] = {**job.model_dump(), "task": "classification", "student": {}}
    other = Bench.of(JobSpec.model_validate(document))
    there = records(other.work(other.stages("teacher", "contrastive")))
    assert there.keys() == encoders.keys()
    for stage_id, record in encoders.items():
        assert record.facts.num_windows == there[stage_id].facts.num_windows
        assert record.facts.share_high == there[stage_id].facts.share_high
        assert record.facts.affect == {}
        assert record.arrays.keys() == there[stage_id].arrays.keys()
        for name, array in record.arrays.items():
            assert np.array_equal(array, there[stage_id].arrays[name]), name


def test_a_probe_reads_what_its_encoder_read(
    bench: Bench, encoders: dict[str, StageRecord]
) -> None:
    work = taught_by(bench, bench.stages("probe", "squared_error"), encoders)
    recipe = recipe_for(work)
    assert isinstance(resident_inputs(work, recipe), Embeddings)
    assert [(layer.name, layer.d_out) for layer in recipe.layout.layers] == [("head", 1)]
    for stage, record in zip(work.stages, trained(work), strict=True):
        for name in (f"{kind}.{m}" for m in stage.modalities for kind in ("mean", "scale")):
            assert np.array_equal(record.arrays[name], encoders[stage.source or ""].arrays[name])
        windows = bench.windows.rows(bench.plan.cells[stage.cell], "train")
        assert record.facts.num_windows["train"] == len(windows)


def test_shuffled_probes_are_told_the_values_of_the_windows_their_encoders_saw(
    bench: Bench, encoders: dict[str, StageRecord]
) -> None:
    shuffled = [s for s in bench.stages("probe", "squared_error") if s.labels == "shuffled"]
    work = taught_by(bench, shuffled, encoders)
    told = labels_of(work)
    for own, cell in zip(told, work.cells, strict=True):
        expected = bench.windows.shuffled(cell, bench.windows.told(cell))
        assert np.array_equal(own, expected, equal_nan=True)
        assert not np.array_equal(own, bench.windows.told(cell), equal_nan=True)


def test_students_are_taught_embeddings_of_all_annotated_training_windows(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    for arm in ("lupi", "pricon"):
        work = taught_by(bench, bench.last_stages(arm), teachers)
        taught = answers_of(work)
        for own, cell, source in zip(taught, work.cells, work.sources, strict=True):
            assert source is not None
            known = ~torch.isnan(own).any(dim=1).numpy()
            assert np.array_equal(np.flatnonzero(known), bench.windows.rows(cell, "train"))
            assert np.array_equal(own[known].numpy(), source.arrays["train_embedding"])
            assert "train_logits" not in source.arrays


def test_predictions_are_affect_in_its_own_unit(bench: Bench) -> None:
    affect = bench.windows.index.affect["arousal"]
    stages = bench.last_stages("e2e")
    for stage, record in zip(stages, trained(bench.work(stages)), strict=True):
        cell, arrays = bench.plan.cells[stage.cell], record.arrays
        rows = bench.windows.rows(cell, "test")
        assert "test_probability_high" not in arrays
        assert arrays["test_window"].tolist() == bench.windows.index.window[rows].tolist()
        assert arrays["test_label"].dtype == arrays["test_prediction"].dtype == np.float32
        assert arrays["test_label"] == pytest.approx(affect[rows])
        work = bench.work([stage])
        recipe = recipe_for(work)
        network = PackedNetwork(recipe.layout, torch.from_numpy(arrays["parameters"])[None])
        inputs = resident_inputs(work, recipe)
        said = evaluate(network, inputs, torch.from_numpy(rows)[None])[0][0, :, 0]
        training = affect[bench.windows.rows(cell, "train")]
        expected = said.numpy() * training.std() + training.mean()
        assert arrays["test_prediction"] == pytest.approx(expected, abs=1e-5)
        assert record.facts.affect["train"] == pytest.approx((training.mean(), training.std()))
        assert record.facts.share_high == {}


def test_taught_students_differ_from_end_to_end_ones(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    e2e = trained(bench.work(bench.last_stages("e2e")))
    for arm in ("lupi", "pricon"):
        for one, other in zip(
            trained(taught_by(bench, bench.last_stages(arm), teachers)), e2e, strict=True
        ):
            assert not np.array_equal(one.arrays["parameters"], other.arrays["parameters"])
            assert np.isfinite(one.arrays["parameters"]).all()
