"""The windows of a stimulus group whose features do not fit into memory.

Who, when and which affect is known of every window; features pass by in batches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.keyed import key_of
from pricon.corpus.loader import Features
from pricon.corpus.moments import Moments
from pricon.corpus.reader import Corpus
from pricon.corpus.standardise import (
    Incomplete,
    Standardiser,
    standardise_session,
    standardiser_of,
)
from pricon.corpus.stream import StreamSpec, WindowStream
from pricon.heartbeat import beat
from pricon.plan.plan import POSITION, Cell
from pricon.spec.job import JobSpec
from pricon.spec.training import StreamingSpec
from pricon.train.windows import LabelledWindows, mean_of_frames

_Kind = tuple[str, bool]
"""A modality, and whether its frames are kept or averaged."""

_OfKind = Callable[[_Kind, Features, NDArray[np.int64]], NDArray[np.float32]]
"""Kind, features as they are in the corpus, and rows -> what the kind has of these rows."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a corpus; shards have one order in passes of one name, epoch and modalities.

    Args:
        name: what it is for.
        epoch: from 0.
        participants: whose windows; None means everybody's.
    """

    name: str
    epoch: int = 0
    participants: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Windows that pass by.

    Args:
        rows: of these windows in the index, shape (windows,).
        features: modality -> before the fold's standardisation, shape (windows, width) or (windows,
            frames, width).
    """

    rows: NDArray[np.int64]
    features: Features


class StreamedWindows(LabelledWindows):
    """Windows with features that are read anew for every pass.

    Everything that is fitted here is fitted on a cell's training windows, as in `GroupWindows`.

    Args:
        corpus: is read.
        job: says how, `optimisation.streaming` included.
        streaming: how much of the corpus may be in memory.
        stimuli: of the group.
    """

    def __init__(
        self, corpus: Corpus, job: JobSpec, streaming: StreamingSpec, stimuli: tuple[str, ...]
    ) -> None:
        super().__init__(corpus.index(stimuli), job)
        self.corpus = corpus
        self.streaming = streaming
        self.stimuli = stimuli
        self._incomplete: Incomplete = job.incomplete_features or "drop"
        self._sessions = {name: number for number, name in enumerate(np.unique(self.index.session))}
        self._session_moments: dict[_Kind, Moments] = {}
        self._fitted: dict[tuple[Cell, _Kind], Standardiser] = {}

    @cached_property
    def contrastive(self) -> "StreamedWindows":
        """See `LabelledWindows`; the moments of sessions are shared."""
        if self.job.task == "classification":
            return self
        classifying = self.job.model_copy(update={"task": "classification"})
        view = StreamedWindows(self.corpus, classifying, self.streaming, self.stimuli)
        view._session_moments = self._session_moments
        return view

    def width(self, modality: str) -> int:
        """Features of a modality."""
        return 1 if modality == POSITION else len(self.corpus.feature_names(modality, self.stimuli))

    def standardiser(self, cell: Cell, modality: str, as_sequence: bool = False) -> Standardiser:
        """What `fit` has fitted."""
        return self._fitted[cell, (modality, as_sequence)]

    def know(self, cell: Cell, modality: str, as_sequence: bool, fitted: Standardiser) -> None:
        """Take a standardiser that was fitted before."""
        self._fitted[cell, (modality, as_sequence)] = fitted

    def fit(self, cells: Sequence[Cell], modalities: Sequence[str], as_sequence: bool) -> None:
        """Fit the standardisers of all these cells in one pass over the corpus.

        Each frame of a cell's training windows counts. With `standardise: session`, the moments of
        all sessions take one pass more.
        """
        kinds = [(name, as_sequence) for name in modalities]
        new = [kind for kind in kinds if any((cell, kind) not in self._fitted for cell in cells)]
        by_session = [
            kind for kind in new if self._is_by_session(kind) and kind not in self._session_moments
        ]
        if by_session:
            self._session_moments |= self._moments_of(
                by_session, len(self._sessions), self._by_session
            )
        if new:
            training = np.zeros((len(cells), len(self.index)), np.bool_)
            for number, cell in enumerate(cells):
                training[number, self.rows(cell, "train")] = True
            moments = self._moments_of(
                new, len(cells), lambda rows: _groups(training[:, rows]), prepared=True
            )
            for kind, (number, cell) in ((k, pair) for k in new for pair in enumerate(cells)):
                found = moments[kind].of(number, self._incomplete)
                self._fitted[cell, kind] = standardiser_of(*found)

    def passing(self, one: Pass, modalities: Sequence[str], as_sequence: bool) -> Iterator[Passing]:
        """All windows that a pass wants, at most a batch at once, frames as they are or averaged.

        Raises:
            CorpusError: an unknown modality, a damaged or missing shard, or a buffer that is too
                small.
            StorageError: the store failed.
        """
        yield from self._through(self.stream(one, modalities, as_sequence))

    def stream(self, one: Pass, modalities: Sequence[str], as_sequence: bool) -> WindowStream:
        """What passes by in a pass, as `passing` has it.

        Raises:
            CorpusError: an unknown modality, or a buffer that is too small.
        """
        return self._stream(one, [(name, as_sequence) for name in modalities], self._prepared)

    def _through(self, stream: WindowStream) -> Iterator[Passing]:
        size = self.job.optimisation.batch_size
        for windows, features in stream.through():
            rows = np.searchsorted(self.index.window, windows)
            for start in range(0, len(rows), size):
                some = slice(start, start + size)
                of_some = {name: values[some] for name, values in features.items()}
                yield Passing(rows=rows[some], features=of_some)
                beat()

    def _stream(self, one: Pass, kinds: Sequence[_Kind], of_kind: _OfKind) -> WindowStream:
        def prepare(windows: NDArray[np.int64], features: Features) -> Features:
            rows = np.searchsorted(self.index.window, windows)
            return {kind[0]: of_kind(kind, features, rows) for kind in kinds}

        spec = StreamSpec(
            modalities=tuple(name for name, _ in kinds if name != POSITION),
            key=key_of("pass", one.name),
            buffer_bytes=int(self.streaming.buffer_mb * 10**6),
            stimuli=self.stimuli,
            participants=one.participants,
        )
        return WindowStream(self.corpus, spec, epoch=one.epoch, prepare=prepare)

    def _is_by_session(self, kind: _Kind) -> bool:
        return kind[0] != POSITION and self.job.standardise == "session"

    def _moments_of(
        self,
        kinds: Sequence[_Kind],
        num_groups: int,
        groups: Callable[[NDArray[np.int64]], Iterator[tuple[int, NDArray[np.bool_]]]],
        prepared: bool = False,
    ) -> dict[_Kind, Moments]:
        """Moments of each group of windows, `groups` telling which of some rows are in which."""
        moments = {kind: Moments(num_groups, self.width(kind[0])) for kind in kinds}
        of_kind = self._prepared if prepared else self._raw
        for passing in self._through(self._stream(Pass("fit"), kinds, of_kind)):
            for group, inside in groups(passing.rows):
                for kind, of in moments.items():
                    some = passing.features[kind[0]][inside]
                    of.add(group, some.reshape(-1, some.shape[-1]))
        return moments

    def _by_session(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        sessions = self.index.session[rows]
        for name in np.unique(sessions):
            yield self._sessions[name], sessions == name

    def _raw(self, kind: _Kind, features: Features, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of some rows, as they were recorded."""
        modality, as_sequence = kind
        if modality == POSITION:
            windows = self.corpus.manifest.windows
            offset_s = np.arange(windows.frames) * windows.frame_s
            start_s = self.index.t_start_s[rows]
            frames = (start_s[:, None, None] + offset_s[:, None]).astype(np.float32)
        else:
            frames = features[modality]
        return frames if as_sequence else mean_of_frames(frames)

    def _prepared(
        self, kind: _Kind, features: Features, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Features of some rows before the fold's standardisation."""
        raw = self._raw(kind, features, rows)
        if not self._is_by_session(kind):
            return raw
        moments, standardised = self._session_moments[kind], np.empty_like(raw)
        for session, inside in self._by_session(rows):
            values = np.where(np.isfinite(raw[inside]), raw[inside], np.nan).astype(np.float64)
            found = moments.of(session, self._incomplete)
            standardised[inside] = standardise_session(values, *found)
        return standardised


def _groups(inside: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Each group that has any of some windows, and which of them; `inside` is (groups, windows)."""
    for group in np.flatnonzero(inside.any(axis=1)):
        yield int(group), inside[group]
