"""Stages besides the protocol's defaults: controls, other contrasts, embeddings, strata."""

import numpy as np
import pytest
import torch

from pricon.model.network import initial_parameters
from pricon.train.reading import _keys
from pricon.train.recipes import recipe_for
from tests.tiny import build, tiny_job
from tests.train.test_reading import answers_of, labels_of, resident
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained


def test_students_that_imitate_the_embedding_are_taught_by_embeddings(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    student = {"distillation": {"imitate": "embedding", "weight": 0.9}}
    job = build(tiny_job(tmp_path_factory.mktemp("tiny"), student=student))
    features = Bench.of(job)
    teachers = features.stages("teacher", "cross_entropy")
    records = {r.facts.stage_id: r for r in trained(features.work(teachers))}
    students = features.last_stages("lupi")
    sources = [records[stage.source or ""] for stage in students]
    taught = answers_of(features.work(students, sources))
    assert taught.shape[2] == job.teacher.encoder.width
    for own, source in zip(taught, sources, strict=True):
        known = ~torch.isnan(own).any(dim=1)
        assert np.array_equal(own[known].numpy(), source.arrays["train_embedding"])
    lupi = trained(features.work(students, sources))
    e2e = trained(features.work(features.last_stages("e2e")))
    for one, other in zip(lupi, e2e, strict=True):
        assert not np.array_equal(one.arrays["parameters"], other.arrays["parameters"])
        assert np.isfinite(one.arrays["parameters"]).all()


@pytest.mark.parametrize("contrast", ["change", "trend"])
def test_pretraining_on_another_contrast_reads_its_windows_and_labels(
    contrast: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    teacher = {"contrastive": {"contrast": contrast}}
    job = build(tiny_job(tmp_path_factory.mktemp("tiny"), teacher=teacher))
    bench = Bench.of(job)
    work = bench.work(bench.stages("teacher", "contrastive"))
    examples = resident(work)
    for member, cell in enumerate(work.cells):
        rows = work.windows.contrast_rows(cell, "train")
        assert examples.counts["train"][member] == len(rows)
        assert {*rows} <= {*work.windows.rows(cell, "train")}
        kinds = work.windows.contrast(cell)
        assert np.array_equal(labels_of(work)[member], kinds)
        assert not np.array_equal(kinds, work.windows.labels(cell))
    assert all(np.isfinite(record.arrays["parameters"]).all() for record in trained(work))
    probe = bench.work(bench.stages("probe", "cross_entropy"), trained(work))
    assert np.array_equal(labels_of(probe)[0], work.windows.labels(probe.cells[0])), "level again"


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    arms = ["pricon", "pricon_shuffled", "pricon_random", "time_only", "scl"]
    return Bench.of(build(tiny_job(tmp_path_factory.mktemp("controls"), arms=arms)))


def test_a_random_encoder_is_left_as_it_was_initialised(controls: Bench) -> None:
    work = controls.work(controls.stages("teacher", "random"))
    records = trained(work, lambda _: pytest.fail("nothing is trained"))
    layout = recipe_for(work).layout
    initial = initial_parameters(layout, torch.tensor(_keys(work)))
    for record, parameters in zip(records, initial, strict=True):
        assert np.array_equal(record.arrays["parameters"], parameters.numpy())
        assert record.facts.best_epoch is None
        assert [*record.facts.curves.values()] == [(), ()]
    ids = {record.facts.stage_id for record in records}
    probes = [s for s in controls.stages("probe", "cross_entropy") if s.source in ids]
    for probe in trained(controls.work(probes, records)):
        assert np.isfinite(probe.arrays["train_logits"]).all()


def test_a_teacher_of_shuffled_labels_differs_in_nothing_else(controls: Bench) -> None:
    contrastive = controls.stages("teacher", "contrastive")
    both = [s for s in contrastive if s.cell == 0 and len(s.modalities) == 2]
    assert [stage.labels for stage in both] == ["true", "shuffled"]
    work = controls.work(both)
    keys = _keys(work)
    assert keys[0] == keys[1], "the same initial weights and batches"
    examples = resident(work)
    labels = labels_of(work)
    assert np.array_equal(labels[0], work.windows.labels(work.cells[0]))
    assert np.array_equal(labels[1], work.windows.shuffled(work.cells[0], labels[0]))
    assert torch.equal(examples.rows["train"][0], examples.rows["train"][1])
    one, other = trained(work)
    assert not np.array_equal(one.arrays["parameters"], other.arrays["parameters"])
    probes = [
        s for s in controls.stages("probe", "cross_entropy") if s.source in {b.id for b in both}
    ]
    dealt = labels_of(controls.work(probes, [one, other]))
    assert np.array_equal(dealt, labels), "its probe sees the same shuffled labels"
    (probe,) = trained(controls.work(probes[1:], [other]))
    assert np.array_equal(
        probe.arrays["test_label"],
        work.windows.labels(work.cells[0])[work.windows.rows(work.cells[0], "test")],
    ), "but is judged by true ones"


def test_time_alone_and_one_modality_alone(controls: Bench) -> None:
    for record in trained(controls.work(controls.last_stages("time_only"))):
        assert record.facts.features == {"position": (1, 1)}
        assert record.facts.layers[0][:2] == ("encoder.position.0", 1)
    single = [s for s in controls.stages("teacher", "contrastive") if s.modalities == ("frames",)]
    encoders = trained(controls.work(single))
    probes = controls.last_stages("scl")
    for record in trained(controls.work(probes, encoders)):
        assert record.facts.modalities == ("frames",)
        assert len(record.arrays["test_probability_high"]) > 0


def test_stratified_pretraining_is_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    teacher = {"contrastive": {"sampler": "stratified"}}
    bench = Bench.of(build(tiny_job(tmp_path_factory.mktemp("tiny"), teacher=teacher)))
    work = bench.work(bench.stages("teacher", "contrastive"))
    examples = resident(work)
    assert examples.strata is not None
    people, labels = work.windows.index.participant, work.windows.labels(work.cells[0])
    rows = work.windows.rows(work.cells[0], "train")
    strata = examples.strata[0].numpy()[rows]
    kinds = {*zip(people[rows].tolist(), labels[rows].tolist(), strata.tolist(), strict=True)}
    assert len(kinds) == len({kind[:2] for kind in kinds}) == len({*strata.tolist()})
    assert all(np.isfinite(record.arrays["parameters"]).all() for record in trained(work))
    probe = bench.work(bench.stages("probe", "cross_entropy"), trained(work))
    assert resident(probe).strata is None
