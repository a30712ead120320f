"""The windows of one stimulus group as a lane reads them: labels, rows and features by cell."""

from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.corpus.labels import Classes, Values, contrast_windows, known, label_windows
from pricon.corpus.reader import Corpus
from pricon.corpus.standardise import (
    Incomplete,
    Standardiser,
    fit_standardiser,
    standardise_sessions,
)
from pricon.errors import CorpusError, TrainingError
from pricon.heartbeat import beat
from pricon.plan.plan import POSITION, Cell
from pricon.spec.corpus import Affect
from pricon.spec.job import JobSpec

SplitPart = Literal["train", "validation", "test"]
_ALL: tuple[SplitPart, ...] = ("train", "validation", "test")
_SPARED: tuple[SplitPart, ...] = ("train", "validation")


class LabelledWindows:
    """Windows of one stimulus group without their features: labels, and rows by split.

    Labels are what the job's task predicts, classes or values; rows are those of windows that have
    one. Contrastive stages look at `contrastive`, where labels are classes under any task. A job
    that judges on validation participants has no test windows here: asking for them is an error,
    so nothing can look at them by mistake.
    """

    def __init__(self, index: WindowIndex, job: JobSpec) -> None:
        self.index = index
        self.job = job
        self.parts = _ALL if job.sensitivity is None else _SPARED
        self.classes = lru_cache(maxsize=None)(self._classes)
        self.values = lru_cache(maxsize=None)(self._values)
        self.labels = lru_cache(maxsize=None)(self._labels)
        self.contrast = lru_cache(maxsize=None)(self._contrast)
        self.rows = lru_cache(maxsize=None)(self._rows)
        self.contrast_rows = lru_cache(maxsize=None)(self._contrast_rows)

    @cached_property
    def contrastive(self) -> "LabelledWindows":
        """The same windows as stages see them that tell classes apart."""
        if self.job.task == "classification":
            return self
        return LabelledWindows(self.index, _classifying(self.job))

    def forget(self) -> None:
        """Give back what was worked out for single cells: some twenty bytes a window for each."""
        for kept in (self.classes, self.labels, self.contrast, self.rows, self.contrast_rows):
            kept.cache_clear()
        if "contrastive" in vars(self) and self.contrastive is not self:
            self.contrastive.forget()

    def _classes(self, cell: Cell) -> Classes:
        """1 high, 0 low, -1 dropped under the cell's label rule. Shape (windows,)."""
        training = self._inside(cell, "train")
        return label_windows(self.index, self.job.label, cell.affect, training)

    def _labels(self, cell: Cell) -> Classes | Values:
        """What the task predicts: classes, or affect, NaN where unknown. Shape (windows,)."""
        if self.job.task == "classification":
            return self.classes(cell)
        return self.values(cell.affect)

    def _values(self, affect: Affect) -> Values:
        return self.index.affect[affect].astype(np.float32)

    def _contrast(self, cell: Cell) -> Classes:
        """Which windows are alike in the contrastive loss. Shape (windows,)."""
        spec, training = self.job.teacher.contrastive, self._inside(cell, "train")
        return contrast_windows(self.index, spec, cell.affect, self.classes(cell), training)

    def _rows(self, cell: Cell, part: SplitPart) -> NDArray[np.int64]:
        """Rows of the windows of one split that have a label, rising."""
        return np.flatnonzero(self._inside(cell, part) & known(self.labels(cell)))

    def _contrast_rows(self, cell: Cell, part: SplitPart) -> NDArray[np.int64]:
        """Rows of the windows of one split that the contrastive loss can use, rising."""
        return np.flatnonzero(self._inside(cell, part) & known(self.contrast(cell)))

    def _inside(self, cell: Cell, part: SplitPart) -> NDArray[np.bool_]:
        if part not in self.parts:
            raise TrainingError(
                f"leak: {part} participants of {cell} were asked for by a job that is judged on "
                "validation participants"
            )
        names, name_of = self._people
        people: tuple[str, ...] = getattr(cell.split, part)
        return np.isin(names, people)[name_of]

    @cached_property
    def _people(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Who is in any window, sorted, and whose each window is.

        Shapes (participants,) and (windows,). Names are compared once, not once a cell.
        """
        return np.unique(self.index.participant, return_inverse=True)

    def shuffled(self, cell: Cell, labels: Classes | Values) -> Classes | Values:
        """The same labels, dealt to other windows of the same split. Shape (windows,).

        Windows that have a class and those that have none are dealt apart, so that a window gets
        class and value of one and the same other window.
        """
        import torch  # a dry run reads labels, and does without

        from pricon.model.keyed import bits, key_of

        key = torch.tensor(key_of("shuffled labels", cell.stimulus, cell.fold, cell.seed))
        dealt = labels.copy()
        has_class = known(self.classes(cell))
        for part, like in product(self.parts, (has_class, ~has_class)):
            rows = np.flatnonzero(self._inside(cell, part) & known(labels) & like)
            draws = bits(key, torch.from_numpy(self.index.window[rows]))
            dealt[rows] = labels[rows[draws.argsort().numpy()]]
        return dealt

    def participants(self, cell: Cell, part: SplitPart) -> tuple[str, ...]:
        """Who really is in the windows of a split that count, sorted."""
        names, name_of = self._people
        return tuple(names[np.unique(name_of[self.rows(cell, part)])].tolist())

    def counts(self, cell: Cell) -> dict[str, int]:
        """Windows with a label by split, and `dropped` ones of all of these together."""
        inside = np.logical_or.reduce([self._inside(cell, part) for part in self.parts])
        dropped = int((inside & ~known(self.labels(cell))).sum())
        return {**{part: len(self.rows(cell, part)) for part in self.parts}, "dropped": dropped}

    def share_high(self, cell: Cell) -> dict[str, float]:
        """Share of class high among the kept windows, by split; empty where values are told."""
        if self.job.task == "regression":
            return {}
        return {part: mean for part, (mean, _) in self._moments(cell).items()}

    def affect(self, cell: Cell) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of affect by split; empty where classes are told."""
        return {} if self.job.task == "classification" else self._moments(cell)

    def _moments(self, cell: Cell) -> dict[str, tuple[float, float]]:
        labels = self.labels(cell).astype(np.float64)
        told = {part: labels[self.rows(cell, part)] for part in self.parts}
        return {part: (float(some.mean()), float(some.std())) for part, some in told.items()}

    def unit(self, cell: Cell) -> Standardiser:
        """Mean and scale of the affect of the cell's training windows, shapes (1,)."""
        values = self.values(cell.affect)[self.rows(cell, "train")]
        return fit_standardiser(values[:, None], "drop")

    def told(self, cell: Cell) -> Classes | Values:
        """Labels as a network learns them: classes, or values in `unit`. Shape (windows,)."""
        if self.job.task == "classification":
            return self.classes(cell)
        unit = self.unit(cell)
        return (self.values(cell.affect) - unit.mean) * unit.scale


class GroupWindows(LabelledWindows):
    """Windows with features; a modality is fetched when it is first asked for.

    Everything that is fitted here (thresholds, means, deviations, constant features) is fitted on
    a cell's training windows.

    Args:
        corpus: is read.
        job: says how.
        stimuli: of the group.
        modalities: will be asked for, so they are fetched together with the index.
    """

    def __init__(
        self,
        corpus: Corpus,
        job: JobSpec,
        stimuli: tuple[str, ...],
        modalities: tuple[str, ...] = (),
    ) -> None:
        index, self._fetched = _fetch(corpus, stimuli, modalities)
        super().__init__(index, job)
        self.corpus = corpus
        self.stimuli = stimuli
        self._incomplete: Incomplete = job.incomplete_features or "drop"
        self._frames = lru_cache(maxsize=None)(self._read_frames)
        self.raw = lru_cache(maxsize=None)(self._raw)
        self.standardiser = lru_cache(maxsize=None)(self._standardiser)

    @cached_property
    def contrastive(self) -> "GroupWindows":
        """See `LabelledWindows`; features are shared."""
        if self.job.task == "classification":
            return self
        view = GroupWindows(self.corpus, _classifying(self.job), self.stimuli)
        view._frames, view.raw = self._frames, self.raw
        return view

    def width(self, modality: str) -> int:
        """Features of a modality."""
        width: int = self.raw(modality, as_sequence=True).shape[-1]
        return width

    def _raw(self, modality: str, as_sequence: bool = False) -> NDArray[np.float32]:
        """Features of a modality before the fold's standardisation.

        Returns:
            The mean of each window's frames, shape (windows, width), or the frames as they are,
            shape (windows, frames, width).
        """
        frames = self._frames(modality)
        features = frames if as_sequence else mean_of_frames(frames)
        if modality == POSITION or self.job.standardise == "training":
            return features
        rows = features.reshape(-1, features.shape[-1])
        session = np.repeat(self.index.session, len(rows) // len(features))
        standardised = standardise_sessions(rows, session, self._incomplete)
        return standardised.reshape(features.shape)

    def _read_frames(self, modality: str) -> NDArray[np.float32]:
        if modality in self._fetched:
            return self._fetched.pop(modality)
        if modality != POSITION:
            return self.corpus.features(modality, self.stimuli)
        windows = self.corpus.manifest.windows
        offset_s = np.arange(windows.frames) * windows.frame_s
        return (self.index.t_start_s[:, None, None] + offset_s[:, None]).astype(np.float32)

    def _standardiser(self, cell: Cell, modality: str, as_sequence: bool = False) -> Standardiser:
        """Fitted on the cell's training windows that have a label, each frame counting."""
        training = self.raw(modality, as_sequence)[self.rows(cell, "train")]
        fitted = fit_standardiser(training.reshape(-1, training.shape[-1]), self._incomplete)
        beat()
        return fitted


def _fetch(
    corpus: Corpus, stimuli: tuple[str, ...], modalities: tuple[str, ...]
) -> tuple[WindowIndex, dict[str, NDArray[np.float32]]]:
    """The index, and these modalities unless one of them cannot be read."""
    with suppress(CorpusError):  # which one is told where it is asked for; others can be used
        if modalities:
            return corpus.windows(modalities, stimuli)
    return corpus.index(stimuli), {}


def mean_of_frames(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape (windows, frames, width) -> (windows, width); NaN where no frame was recorded."""
    if frames.shape[1] == 1:
        return frames[:, 0]
    is_known = ~np.isnan(frames)
    count = is_known.sum(axis=1)
    mean = np.full(count.shape, np.nan, np.float32)
    np.divide(np.where(is_known, frames, 0).sum(axis=1), count, out=mean, where=count > 0)
    return mean


def _classifying(job: JobSpec) -> JobSpec:
    return job.model_copy(update={"task": "classification"})
