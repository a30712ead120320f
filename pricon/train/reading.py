"""Recipe -> examples: in memory, or passing by. The only place where the two differ for a stage."""

import numpy as np
import torch
from torch import Tensor

from pricon.corpus.labels import MOST_KINDS
from pricon.corpus.reader import Corpus
from pricon.model.keyed import Draws, key_of
from pricon.model.network import PackedNetwork
from pricon.spec.job import JobSpec
from pricon.train.evaluation import evaluate
from pricon.train.examples import PADDING, Examples, Known, Part
from pricon.train.inputs import Embeddings, Features, Inputs
from pricon.train.recipes import PackWork, Recipe, Windows
from pricon.train.resident import Resident, padded
from pricon.train.streamed import Shown, Streamed
from pricon.train.streamed_windows import StreamedWindows
from pricon.train.windows import GroupWindows

IMITATED = {"logits": "train_logits", "embedding": "train_embedding"}
"""What a student imitates -> the array in its teacher's record that holds it."""

_PARTS: tuple[Part, ...] = ("train", "validation")


def open_windows(
    corpus: Corpus, job: JobSpec, stimuli: tuple[str, ...], modalities: tuple[str, ...] = ()
) -> Windows:
    """Windows of a stimulus group, in memory unless the job streams them.

    Args:
        corpus: is read.
        job: says how.
        stimuli: of the group.
        modalities: will be asked for, so they are fetched together with the index.
    """
    streaming = job.optimisation.streaming
    if streaming is None:
        return GroupWindows(corpus, job, stimuli, modalities)
    return StreamedWindows(corpus, job, streaming, stimuli)


def examples_of(work: PackWork, recipe: Recipe) -> Examples:
    """What the pack trains on and is evaluated on."""
    if isinstance(work.windows, StreamedWindows):
        return _streamed(work, recipe, work.windows)
    return _resident(work, recipe, work.windows)


def _resident(work: PackWork, recipe: Recipe, windows: GroupWindows) -> Resident:
    rows = {part: [recipe.rows(cell, part) for cell in work.cells] for part in _PARTS}
    known = _known(work, recipe)
    return Resident(
        inputs=resident_inputs(work, recipe),
        windows=torch.from_numpy(windows.index.window).to(work.device),
        known=known,
        rows={part: padded(some, fill=PADDING).to(work.device) for part, some in rows.items()},
        counts={part: tuple(map(len, some)) for part, some in rows.items()},
        keys=torch.tensor(_keys(work), device=work.device),
        batch_size=work.job.optimisation.batch_size,
        ranks=work.ranks,
        strata=_strata(windows, known) if recipe.is_stratified else None,
    )


def _streamed(work: PackWork, recipe: Recipe, windows: StreamedWindows) -> Streamed:
    known = _known(work, recipe)
    inside = {part: np.zeros(tuple(known.labels.shape), np.bool_) for part in _PARTS}
    for draw, cell in zip(known.draw_of.tolist(), work.cells, strict=True):
        for part, of in inside.items():
            of[draw, recipe.rows(cell, part)] = True
    mean, scale = _standardisation(work)
    return Streamed(
        source=windows,
        modalities=work.modalities,
        as_sequence=work.encoder.reads_frames,
        shown=Shown(mean=mean, scale=scale, frozen=recipe.frozen),
        known=known,
        inside=inside,
        keys=torch.tensor(_keys(work), device=work.device),
        batch_size=work.job.optimisation.batch_size,
        ranks=work.ranks,
    )


def resident_inputs(work: PackWork, recipe: Recipe) -> Inputs:
    """What the networks of a pack read of windows that are in memory, on the pack's device.

    No other modality than the pack's is fetched.
    """
    assert isinstance(work.windows, GroupWindows)
    as_sequence = work.encoder.reads_frames
    raw = {
        name: torch.from_numpy(work.windows.raw(name, as_sequence)).to(work.device)
        for name in work.modalities
    }
    features = Features(raw, *_standardisation(work))
    if recipe.frozen is None:
        return features
    return Embeddings(_embeddings(recipe.frozen, features, work))


def _embeddings(frozen: PackedNetwork, features: Features, work: PackWork) -> Tensor:
    """What each member's encoder makes of all windows, shape (members, windows, width)."""
    num_windows = len(work.windows.index)
    draws = Draws.among([stage.cell for stage in work.stages], work.device)
    rows = torch.arange(num_windows, device=work.device).expand(len(draws.first), -1)
    (embeddings,) = evaluate(frozen, features, rows, draws, wanted=("embedding",))
    return embeddings


def _standardisation(work: PackWork) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mean and scale of each modality by member, shape (members, d_in)."""
    windows, as_sequence = work.standardised, work.encoder.reads_frames
    if isinstance(windows, StreamedWindows):
        windows.fit([*dict.fromkeys(work.cells)], work.modalities, as_sequence)
    mean, scale = {}, {}
    for name in work.modalities:
        fitted = [windows.standardiser(cell, name, as_sequence) for cell in work.cells]
        mean[name] = torch.from_numpy(np.stack([one.mean for one in fitted])).to(work.device)
        scale[name] = torch.from_numpy(np.stack([one.scale for one in fitted])).to(work.device)
    return mean, scale


def _known(work: PackWork, recipe: Recipe) -> Known:
    """Labels once for each cell and way of labelling; teachers once for each."""
    names = [(stage.cell, stage.labels) for stage in work.stages]
    draws = Draws.among(names, work.device)
    labels = []
    for member in draws.first.tolist():
        stage, cell = work.stages[member], work.cells[member]
        told = recipe.labels(cell)
        labels.append(work.windows.shuffled(cell, told) if stage.labels == "shuffled" else told)
    taught, teacher_of = _taught(work)
    return Known(
        draw_of=draws.of,
        labels=torch.from_numpy(np.stack(labels)).to(work.device),
        taught=taught,
        teacher_of=teacher_of,
    )


def _taught(work: PackWork) -> tuple[Tensor | None, Tensor | None]:
    """What teachers say, NaN where they must not be asked, and which is whose; see `Known`."""
    if work.stages[0].role != "student" or not any(work.sources):
        return None, None
    windows = work.windows.index.window
    imitated = IMITATED[work.job.student.distillation.imitate or "logits"]
    names = [stage.source for stage in work.stages]
    teachers = Draws.among(names, work.device)
    asked = [work.sources[member] for member in teachers.first.tolist()]
    width = next(one.arrays[imitated].shape[1] for one in asked if one is not None)
    taught = np.zeros((width, len(asked), len(windows)), dtype=np.float32)
    for position, teacher in enumerate(asked):
        if teacher is not None:
            taught[:, position] = np.nan
            rows = np.searchsorted(windows, teacher.arrays["train_window"])
            taught[:, position, rows] = teacher.arrays[imitated].T
    return torch.from_numpy(taught).to(work.device), teachers.of


def _strata(windows: GroupWindows, known: Known) -> Tensor:
    """Participant and kind of each window as one number, shape (draws, windows)."""
    participant = np.unique(windows.index.participant, return_inverse=True)[1]
    kinds = known.labels.long().clamp(min=0)
    return torch.from_numpy(participant).to(kinds.device) * MOST_KINDS + kinds


def _keys(work: PackWork) -> list[int]:
    """Random keys. No teacher in them: all students of a cell start and shuffle alike."""
    return [
        key_of(stage.role, stage.objective, *stage.modalities, cell.stimulus, cell.fold, cell.seed)
        for stage, cell in zip(work.stages, work.cells, strict=True)
    ]
