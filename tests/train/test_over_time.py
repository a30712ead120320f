"""Windows of several frames: what reads them in order, what reads their mean, what that buys."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pricon.model.keyed import key_of
from pricon.model.network import Layout, PackedNetwork
from pricon.spec.job import JobSpec
from pricon.spec.training import EncoderSpec, OptimisationSpec, StageSpec
from pricon.train.checkpoint import Checkpoints
from pricon.train.evaluation import evaluate
from pricon.train.inputs import Features
from pricon.train.loop import fit
from pricon.train.losses import cross_entropy
from pricon.train.objectives import Supervised
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.reading import resident_inputs
from pricon.train.recipes import recipe_for
from pricon.train.resident import Resident
from pricon.train.windows import GroupWindows, mean_of_frames
from tests.launch.rehearsal import rehearse
from tests.tiny import build, tiny_document, tiny_job
from tests.train.problem import known, separate
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained

WINDOWS = {"window_s": 3, "hop_s": 3, "lag_s": 1}
ENCODERS = {
    "mean": EncoderSpec(width=16),
    "gru": EncoderSpec(kind="gru", width=16),
    "transformer": EncoderSpec(kind="transformer", width=16),
}


def framed_job(folder: Path, frames: int, **changes: Any) -> JobSpec:
    corpus = tiny_document(folder)["corpus"] | {
        "uri": str(folder / f"corpus-{frames}"),
        "windows": {**WINDOWS, "frames": frames},
    }
    return build(tiny_job(folder, corpus=corpus, **changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("framed")


@pytest.fixture(scope="module")
def bench(folder: Path) -> Bench:
    """A recurrent teacher and a student that is a transformer."""
    teacher = {"encoder": {"kind": "gru", "width": 12}}
    student = {"encoder": {"kind": "transformer", "width": 12}}
    return Bench.of(framed_job(folder, 6, teacher=teacher, student=student))


def test_frames_are_standardised_by_those_of_the_training_split(bench: Bench) -> None:
    stages = bench.stages("teacher", "cross_entropy")
    recipe = recipe_for(bench.work(stages))
    rows = torch.arange(len(bench.windows.index)).expand(len(stages), -1)
    inputs = resident_inputs(bench.work(stages), recipe)
    found = inputs.gather(torch.arange(len(stages)), separate(len(stages)), rows)
    for name in ("frames", "telemetry"):
        raw = bench.windows.raw(name, as_sequence=True)
        assert raw.shape[:2] == (len(bench.windows.index), 6)
        assert found[name].shape == (len(stages), *raw.shape)
        for member, stage in enumerate(stages):
            cell = bench.plan.cells[stage.cell]
            fitted = bench.windows.standardiser(cell, name, as_sequence=True)
            assert np.array_equal(found[name][member].numpy(), fitted.apply(raw))
            training = found[name][member].numpy()[bench.windows.rows(cell, "train")]
            kept = training[:, :, fitted.kept]
            assert np.abs(kept.mean(axis=(0, 1))).max() < 1e-4
            assert np.abs(kept.std(axis=(0, 1)) - 1).max() < 1e-3


def test_teachers_and_students_read_frames_each_with_its_own_encoder(bench: Bench) -> None:
    teacher = recipe_for(bench.work(bench.stages("teacher", "contrastive"))).layout
    student = recipe_for(bench.work(bench.last_stages("e2e"))).layout
    assert [layer.name for layer in teacher.layers][:2] == [
        "encoder.frames.0.input", "encoder.frames.0.state",
    ]  # fmt: skip
    assert "encoder.frames.0.attention.output" in [layer.name for layer in student.layers]


def test_a_member_over_time_does_not_depend_on_its_pack(bench: Bench) -> None:
    for role, objective in (("teacher", "contrastive"), ("student", "distillation")):
        stages = [stage for stage in bench.stages(role, objective) if stage.source is None]
        together = trained(bench.work(stages))
        alone = trained(bench.work(stages[1:2]))[0]
        assert alone.facts.best_epoch == together[1].facts.best_epoch
        np.testing.assert_allclose(
            alone.arrays["parameters"], together[1].arrays["parameters"], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("standardise", ["training", "session"])
def test_the_whole_chain_over_time(folder: Path, standardise: str) -> None:
    encoder = {"encoder": {"kind": "gru", "width": 8, "depth": 2}}
    job = framed_job(
        folder, 6, teacher=encoder, student=encoder, standardise=standardise,
        arms=["time_only", "e2e", "scl", "lupi", "pricon", "all_modalities"],
    )  # fmt: skip
    report = rehearse(job)
    assert report.complete
    assert {block.available for block in report.blocks} == {"frames"}


def test_encoders_of_means_do_not_see_into_how_many_frames_a_window_is_cut(folder: Path) -> None:
    """Frames of 0.5 s hold two rows each, so the mean of their means is that of the window.

    But where a row was not recorded: its frame counts as much as any other.
    """
    whole, framed = (Bench.of(framed_job(folder, frames)) for frames in (1, 6))
    for name, incomplete in (("frames", 0.0), ("telemetry", 0.001)):
        same = np.isclose(framed.windows.raw(name), whole.windows.raw(name), rtol=1e-4, atol=1e-5)
        assert (~same).mean() <= incomplete
    found, expected = (trained(bench.work(bench.last_stages("e2e"))) for bench in (framed, whole))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            one.arrays["test_probability_high"], other.arrays["test_probability_high"], atol=1e-4
        )


def test_features_are_read_once_whoever_asks(bench: Bench) -> None:
    """A recurrent teacher, a transformer and a mean of frames: one fetch a modality."""
    asked: list[str] = []

    class Counting:
        manifest = bench.windows.corpus.manifest

        def index(self, stimuli: tuple[str, ...]) -> Any:
            return bench.windows.index

        def features(self, modality: str, stimuli: tuple[str, ...]) -> Any:
            asked.append(modality)
            return bench.windows.corpus.features(modality, stimuli)

    counting: Any = Counting()
    windows = GroupWindows(counting, bench.job, bench.windows.stimuli)
    stages = (*bench.stages("teacher", "contrastive"), *bench.last_stages("e2e"))
    for stage in stages:
        recipe_for(replace(bench.work([stage]), windows=windows))
    windows.raw("frames")
    assert sorted(asked) == ["frames", "telemetry"]


def test_a_frame_that_was_not_recorded_is_left_out_of_the_mean() -> None:
    frames = np.array([[[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]], dtype=np.float32)
    np.testing.assert_array_equal(mean_of_frames(frames), [[2.0, np.nan]])


def order_matters(num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences that rise (high) or fall (low) and have the same mean; features are noisy."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(num) % 2
    slope = torch.linspace(-1, 1, 8)[None, :, None] * (2.0 * labels - 1)[:, None, None]
    frames = slope + 0.5 * torch.randn(num, 8, 3, generator=generator)
    return frames - frames.mean(dim=1, keepdim=True), labels.to(torch.int8)


def accuracy_of(encoder: EncoderSpec) -> float:
    """Of two members, trained on 400 sequences, on 200 others."""
    frames, labels = order_matters(800)
    raw = frames if encoder.reads_frames else frames.mean(dim=1)
    examples = Resident(
        inputs=Features({"eda": raw}, {"eda": torch.zeros(2, 3)}, {"eda": torch.ones(2, 3)}),
        windows=torch.arange(800),
        known=known(labels.repeat(2, 1)),
        rows={
            "train": torch.arange(400).repeat(2, 1),
            "validation": torch.arange(400, 600).repeat(2, 1),
        },
        counts={"train": (400, 400), "validation": (200, 200)},
        keys=torch.tensor([key_of("order", member) for member in range(2)]),
        batch_size=64,
        ranks=Ranks(),
    )
    layout = Layout(widths=(("eda", 3),), encoder=encoder, head="classes")
    stage = StageSpec(learning_rate=5e-3, epochs=15, patience=5)
    pack = Pack(layout, examples.keys, stage, OptimisationSpec(), Ranks())
    fit(
        pack,
        examples,
        Supervised(cross_entropy),
        Checkpoints(None, ["0", "1"], 1e9),
        lambda _: None,
    )
    rows = torch.arange(600, 800).expand(2, -1)
    (logits,) = evaluate(PackedNetwork(layout, pack.best), examples.inputs, rows)
    return float((logits.argmax(dim=2) == labels[600:]).float().mean())


def test_what_only_the_order_of_frames_tells_is_told_by_encoders_over_time() -> None:
    found = {kind: accuracy_of(encoder) for kind, encoder in ENCODERS.items()}
    assert found["mean"] == pytest.approx(0.5, abs=0.1), found
    assert min(found["gru"], found["transformer"]) > 0.95, found
