"""Packs of stages: guard, train, evaluate, record. `train_pack` is the whole story of a pack."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pricon.corpus.labels import MOST_KINDS
from pricon.errors import TrainingError
from pricon.model.keyed import key_of
from pricon.model.network import Layout, PackedNetwork
from pricon.model.precision import steps_in
from pricon.plan.plan import Cell, Judge, Stage
from pricon.train.checkpoint import Checkpoints
from pricon.train.evaluation import Evaluation, evaluate
from pricon.train.examples import PADDING, Examples, Part
from pricon.train.loop import fit
from pricon.train.pack import Pack
from pricon.train.recipes import (
    PackWork,
    Recipe,
    recipe_for,
    streams_of,
)
from pricon.train.records import StageFacts, StageRecord
from pricon.train.windows import GroupWindows, SplitPart

_IMITATED = {"logits": "train_logits", "embedding": "train_embedding"}
"""What a student imitates -> the array in its teacher's record that holds it."""


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
    examples = _examples(work, recipe)
    optimisation = work.job.optimisation
    pack = Pack(recipe.layout, examples.keys, recipe.training, optimisation, work.ranks)
    if recipe.is_trained:
        with steps_in(optimisation.precision, work.device):
            fit(pack, examples, recipe.objective, checkpoints, listen)
    arrays = _arrays(work, recipe, pack)
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
    stage: Stage, cell: Cell, windows: GroupWindows, made_with: Mapping[str, str]
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


def _examples(work: PackWork, recipe: Recipe) -> Examples:
    windows = work.windows
    rows: dict[Part, torch.Tensor] = {}
    counts: dict[Part, tuple[int, ...]] = {}
    parts: tuple[Part, ...] = ("train", "validation")
    for part in parts:
        by_member = [recipe.rows(cell, part) for cell in work.cells]
        counts[part] = tuple(map(len, by_member))
        rows[part] = _padded(by_member, fill=PADDING).to(work.device)
    labels = [recipe.labels(cell) for cell in work.cells]
    for member, (stage, cell) in enumerate(zip(work.stages, work.cells, strict=True)):
        if stage.labels == "shuffled":
            labels[member] = windows.shuffled(cell, labels[member])
    strata = None
    if recipe.is_stratified:
        participant = np.unique(windows.index.participant, return_inverse=True)[1]
        kinds = np.stack(labels).clip(min=0).astype(np.int64)
        strata = torch.from_numpy(participant * MOST_KINDS + kinds).to(work.device)
    return Examples(
        inputs=recipe.inputs,
        windows=torch.from_numpy(windows.index.window).to(work.device),
        labels=torch.from_numpy(np.stack(labels)).to(work.device),
        rows=rows,
        counts=counts,
        keys=torch.tensor(_keys(work), device=work.device),
        teacher=_taught(work),
        batch_size=work.job.optimisation.batch_size,
        ranks=work.ranks,
        strata=strata,
        streams=[(stage.cell, stage.labels) for stage in work.stages],
    )


def _keys(work: PackWork) -> list[int]:
    """Random keys. No teacher in them: all students of a cell start and shuffle alike."""
    return [
        key_of(stage.role, stage.objective, *stage.modalities, cell.stimulus, cell.fold, cell.seed)
        for stage, cell in zip(work.stages, work.cells, strict=True)
    ]


def _taught(work: PackWork) -> torch.Tensor | None:
    """What teachers say, NaN where they must not be asked; 0 for members without a teacher."""
    if work.stages[0].role != "student" or not any(work.sources):
        return None
    windows = work.windows.index.window
    imitated = _IMITATED[work.job.student.distillation.imitate or "logits"]
    said = [None if source is None else source.arrays[imitated] for source in work.sources]
    width = next(one.shape[1] for one in said if one is not None)
    taught = np.zeros((len(work.stages), len(windows), width), dtype=np.float32)
    for position, source in enumerate(work.sources):
        if source is not None:
            taught[position] = np.nan
            rows = np.searchsorted(windows, source.arrays["train_window"])
            taught[position, rows] = source.arrays[imitated]
    return torch.from_numpy(taught).to(work.device)


def _arrays(work: PackWork, recipe: Recipe, pack: Pack) -> list[dict[str, NDArray[Any]]]:
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
    judged = _outputs(work, recipe, network, part)
    for own, cell, output in zip(arrays, work.cells, judged, strict=True):
        own.update(_predicted(windows, cell, part, _said(windows, cell, output.scores)))
    if work.stages[0].role == "student":
        return arrays
    for own, cell, output in zip(
        arrays, work.cells, _outputs(work, recipe, network, "train"), strict=True
    ):
        own["train_window"] = windows.index.window[windows.rows(cell, "train")]
        if recipe.layout.head == "classes":
            own[_IMITATED["logits"]] = output.scores.cpu().numpy()
        if work.job.student.distillation.imitate == "embedding":
            own[_IMITATED["embedding"]] = output.embeddings.cpu().numpy()
    return arrays


def _outputs(
    work: PackWork, recipe: Recipe, network: PackedNetwork, part: SplitPart
) -> list[Evaluation]:
    """What each member makes of the kept windows of one of its splits, shapes (windows, ...)."""
    rows = [work.windows.rows(cell, part) for cell in work.cells]
    streams = streams_of(work)
    first = _padded([rows[member] for member in streams.first.tolist()], fill=0)
    outputs = evaluate(network, recipe.inputs, first.to(work.device), streams)
    return [
        Evaluation(embeddings[: len(own)], scores[: len(own)])
        for embeddings, scores, own in zip(outputs.embeddings, outputs.scores, rows, strict=True)
    ]


def _padded(rows: Sequence[NDArray[np.int64]], fill: int) -> torch.Tensor:
    """Rows of all members as one tensor, shape (members, most rows)."""
    most = max(map(len, rows))
    padded = [np.pad(one, (0, most - len(one)), constant_values=fill) for one in rows]
    return torch.from_numpy(np.stack(padded))


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


def _said(windows: GroupWindows, cell: Cell, scores: torch.Tensor) -> dict[str, NDArray[Any]]:
    """What scores of shape (n, d_out) mean: probability of high, or affect in its own unit."""
    if windows.job.task == "classification":
        return {"probability_high": scores.softmax(dim=1)[:, 1].cpu().numpy()}
    unit = windows.unit(cell)
    return {"prediction": scores[:, 0].cpu().numpy() / unit.scale + unit.mean}


def _predicted(
    windows: GroupWindows, cell: Cell, part: Judge, said: Mapping[str, NDArray[Any]]
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
    stage: Stage, cell: Cell, windows: GroupWindows, made_with: Mapping[str, str]
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
