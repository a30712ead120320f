"""Packs of stages: guard, train, evaluate, record. `train_pack` is the whole story of a pack."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pricon.errors import TrainingError
from pricon.model.network import Layout, PackedNetwork
from pricon.model.precision import steps_in
from pricon.plan.plan import Cell, Judge, Stage
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import Examples
from pricon.train.loop import fit
from pricon.train.pack import Pack
from pricon.train.reading import IMITATED, examples_of
from pricon.train.recipes import PackWork, Recipe, recipe_for
from pricon.train.records import StageFacts, StageRecord
from pricon.train.windows import LabelledWindows


def train_pack(
    work: PackWork, checkpoints: Checkpoints, listen: Callable[[Pack], None]
) -> list[StageRecord | TrainingError]:
    """Train and evaluate a pack; for each member its record, or why it failed.

    Raises:
        TrainingError: a source saw participants that it must not have seen; nothing is trained.
    """
    started = time.monotonic()
    _guard(work)
    recipe = recipe_for(work)
    examples = examples_of(work, recipe)
    optimisation = work.job.optimisation
    pack = Pack(recipe.layout, examples.keys, recipe.training, optimisation, work.ranks)
    if recipe.is_trained:
        with steps_in(optimisation.precision, work.device):
            fit(pack, examples, recipe.objective, checkpoints, listen)
    arrays = _arrays(work, recipe, pack, examples)
    seconds = time.monotonic() - started
    results: list[StageRecord | TrainingError] = []
    for position, (stage, cell) in enumerate(zip(work.stages, work.cells, strict=True)):
        member = pack.members[position]
        if member.failure is not None:
            results.append(TrainingError(f"{stage.role} of {cell} failed: {member.failure}"))
            continue
        facts = StageFacts(
            **_provenance(stage, cell, work.counted, work.made_with),
            features=_features_kept(work, cell),
            curves={
                "training_loss": tuple(member.training),
                "validation_loss": tuple(member.validation),
            },
            best_epoch=member.best_epoch if recipe.is_trained else None,
            layers=_layers(recipe.layout),
            seconds=seconds,
            members=len(work.stages),
        )
        results.append(StageRecord(facts=facts, arrays=arrays[position]))
    return results


def count_majority(
    stage: Stage, cell: Cell, windows: LabelledWindows, made_with: Mapping[str, str]
) -> StageRecord:
    """The record of the majority class: the training split's share of high, for every window."""
    share = windows.share_high(cell)["train"]
    probability = np.full(len(windows.rows(cell, _judge(stage))), share, np.float32)
    facts = StageFacts(
        **_provenance(stage, cell, windows, made_with),
        features={},
        curves={},
        best_epoch=None,
        layers=(),
        seconds=0.0,
        members=1,
    )
    said = {"probability_high": probability}
    return StageRecord(facts=facts, arrays=_predicted(windows, cell, _judge(stage), said))


def _guard(work: PackWork) -> None:
    """Refuse the leak that only privileged learning has: a teacher that knows the test people."""
    for stage, cell, source in zip(work.stages, work.cells, work.sources, strict=True):
        if source is None:
            continue
        seen = source.facts.participants
        foreign = {*seen["train"]} - {*cell.split.train}
        foreign |= {*seen["validation"]} - {*cell.split.validation}
        if source.facts.stage_id != stage.source:
            foreign = {f"those of stage {source.facts.stage_id}"}
        if foreign:
            raise TrainingError(
                f"leak: {source.facts.role} {stage.source} of {cell} was trained on "
                f"participants of another split: {', '.join(sorted(foreign)[:5])}",
                f"remove `stages/{stage.source}.json` from the output and submit again",
            )


def _arrays(
    work: PackWork, recipe: Recipe, pack: Pack, examples: Examples
) -> list[dict[str, NDArray[Any]]]:
    """What each member leaves behind, besides facts."""
    arrays: list[dict[str, NDArray[Any]]] = [
        {"parameters": best.cpu().numpy(), **_standardisers(work, cell)}
        for best, cell in zip(pack.best, work.cells, strict=True)
    ]
    if recipe.layout.head not in ("classes", "value"):
        return arrays
    windows = work.windows
    network = PackedNetwork(recipe.layout, pack.best)
    part = _judge(work.stages[0])
    judged = examples.evaluate(network, [windows.rows(cell, part) for cell in work.cells])
    for own, cell, output in zip(arrays, work.cells, judged, strict=True):
        own.update(_predicted(windows, cell, part, _said(windows, cell, output.scores)))
    if work.stages[0].role == "student":
        return arrays
    rows = [windows.rows(cell, "train") for cell in work.cells]
    is_embedded = work.job.student.distillation.imitate == "embedding"
    for own, row, output in zip(
        arrays, rows, examples.evaluate(network, rows, embedded=is_embedded), strict=True
    ):
        own["train_window"] = windows.index.window[row]
        if recipe.layout.head == "classes":
            own[IMITATED["logits"]] = output.scores.cpu().numpy()
        if output.embeddings is not None:
            own[IMITATED["embedding"]] = output.embeddings.cpu().numpy()
    return arrays


def _standardisers(work: PackWork, cell: Cell) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name in work.modalities:
        fitted = work.standardised.standardiser(cell, name, work.encoder.reads_frames)
        arrays[f"mean.{name}"] = fitted.mean
        arrays[f"scale.{name}"] = fitted.scale
    if work.counted.job.task == "regression":
        unit = work.counted.unit(cell)
        arrays |= {"affect_mean": unit.mean, "affect_scale": unit.scale}
    return arrays


def _judge(stage: Stage) -> Judge:
    """The split whose windows a stage with a head that predicts is evaluated on."""
    assert stage.judged_on is not None
    return stage.judged_on


def _said(windows: LabelledWindows, cell: Cell, scores: torch.Tensor) -> dict[str, NDArray[Any]]:
    """What scores of shape (n, d_out) mean: probability of high, or affect in its own unit."""
    if windows.job.task == "classification":
        return {"probability_high": scores.softmax(dim=1)[:, 1].cpu().numpy()}
    unit = windows.unit(cell)
    return {"prediction": scores[:, 0].cpu().numpy() / unit.scale + unit.mean}


def _predicted(
    windows: LabelledWindows, cell: Cell, part: Judge, said: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Arrays of a split: its windows, what is known of them, and what a model said."""
    rows = windows.rows(cell, part)
    arrays = {"window": windows.index.window[rows], "label": windows.labels(cell)[rows], **said}
    return {f"{part}_{name}": array for name, array in arrays.items()}


def _features_kept(work: PackWork, cell: Cell) -> dict[str, tuple[int, int]]:
    """Features of each modality that carry something in this fold, and all."""
    as_sequence = work.encoder.reads_frames
    fitted = {
        name: work.standardised.standardiser(cell, name, as_sequence).kept
        for name in work.modalities
    }
    return {name: (int(kept.sum()), kept.size) for name, kept in fitted.items()}


def _provenance(
    stage: Stage, cell: Cell, windows: LabelledWindows, made_with: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "made_with": made_with,
        "stage_id": stage.id,
        "role": stage.role,
        "objective": stage.objective,
        "modalities": stage.modalities,
        "source": stage.source,
        "participants": {part: windows.participants(cell, part) for part in windows.parts},
        "num_windows": windows.counts(cell),
        "share_high": windows.share_high(cell),
        "affect": windows.affect(cell),
    }


def _layers(layout: Layout) -> tuple[tuple[str, int, int], ...]:
    return tuple((layer.name, layer.d_in, layer.d_out) for layer in layout.layers)
