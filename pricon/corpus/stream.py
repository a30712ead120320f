"""Windows of a corpus larger than memory, batch by batch, in the order of `pricon.corpus.order`.

What a rank holds is bounded: shards whose windows have not all been given out, two that are on
their way, and the batches at hand. Every rank reads every shard, as every global batch has windows
of many, and keeps its share of each batch; the order does not depend on the number of ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex, number_columns
from pricon.corpus.loader import AHEAD, Loader, Sessions
from pricon.corpus.order import Step, Stretch, share, shuffled_shards, steps
from pricon.corpus.reader import Corpus
from pricon.errors import CorpusError

_SHARDS_BESIDE = 3 * AHEAD + 2
"""Shards for which there must be room besides the buffer: bytes, arrays and chosen windows of those
on their way, one that is only partly in the buffer, and the batches made of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What a stream passes over, and how. Two of one spec give the same batches.

    Args:
        modalities: whose features are read.
        key: of all random numbers.
        batch_size: windows of a global batch, all ranks together.
        buffer_bytes: most bytes of columns that a rank holds; part of what determines the order.
        stimuli: whose windows; none named means all.
        participants: whose windows; None means everybody's.
    """

    modalities: tuple[str, ...]
    key: int
    batch_size: int
    buffer_bytes: int
    stimuli: tuple[str, ...] = ()
    participants: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A rank's share of a global batch of n windows; the last one of an epoch may have none.

    Args:
        number: of the batch in its epoch.
        index: what is known of the windows, `index.window` their identities.
        features: modality -> shape (n, frames, width).
    """

    number: int
    index: WindowIndex
    features: dict[str, NDArray[np.float32]]


class WindowStream:
    """One epoch of batches, once. `state` after a batch is where another stream can go on.

    Args:
        corpus: is read.
        spec: what of it.
        epoch: from 0; every epoch has its own order.
        rank: whose share of each batch.
        world_size: ranks.
        state: go on behind this batch; the number of ranks may be another one.

    Raises:
        CorpusError: unknown names, no windows, a buffer that is too small for this corpus' shards,
            or a state of another stream.
    """

    def __init__(
        self,
        corpus: Corpus,
        spec: StreamSpec,
        *,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.corpus = corpus
        self.spec = spec
        self.epoch = epoch
        self.rank = rank
        self.world_size = world_size
        self.num_batches_before = 0 if state is None else self._resumed(state)
        self._sessions = Sessions(corpus, spec.stimuli, spec.participants)
        self._spread = self._buffer_windows()

    @property
    def state(self) -> dict[str, Any]:
        """Where the stream is, as JSON: it goes on behind the last batch that was taken."""
        return {**self._identity(), "num_batches": self.num_batches_before}

    def __iter__(self) -> Iterator[Batch]:
        """Batches from here on, read ahead in threads.

        Raises:
            CorpusError: a damaged or missing shard.
            StorageError: the store failed; a stream from `state` can go on.
        """
        loader = Loader(self.corpus, self.spec.modalities, self._sessions)
        try:
            for step in loader.ahead(self._steps(loader)):
                yield from self._batches(loader, step)
        finally:
            loader.close()

    def _batches(self, loader: Loader, step: Step) -> Iterator[Batch]:
        parts = share(len(step.shards), self.spec.batch_size, self.rank, self.world_size)
        mine = np.concatenate(parts) if parts else np.empty(0, np.int64)
        index, features = loader.gather(step.shards[mine], step.rows[mine])
        loader.release(step.shards)
        end = 0
        for part in parts:
            start, end = end, end + len(part)
            number, self.num_batches_before = self.num_batches_before, self.num_batches_before + 1
            yield Batch(
                number=number,
                index=index.take(np.arange(start, end)),
                features={name: values[start:end] for name, values in features.items()},
            )

    def _steps(self, loader: Loader) -> Iterator[Step]:
        """Steps from where the stream is; what was given out before is passed over unread."""
        before = self.num_batches_before * self.spec.batch_size
        found = steps(
            self._stretches(),
            key=self.spec.key,
            epoch=self.epoch,
            spread=self._spread,
            batch_size=self.spec.batch_size,
        )
        for step in found:
            loader.expect(step.arrived)
            passed = min(before, len(step.shards))
            before -= passed
            loader.release(step.shards[:passed])
            if passed < len(step.shards):
                rest = step.shards[passed:], step.rows[passed:]
                yield Step(arrived=step.arrived, shards=rest[0], rows=rest[1])

    def _stretches(self) -> Iterator[Stretch]:
        shards = self.corpus.manifest.shards
        first = np.cumsum([0, *(shard.num_windows for shard in shards)])
        for number in shuffled_shards(len(shards), self.spec.key, self.epoch).tolist():
            rows = self._sessions.rows(int(first[number]), shards[number].num_windows)
            if len(rows):
                yield Stretch(shard=number, first=int(first[number]), rows=rows)

    def _buffer_windows(self) -> int:
        """Windows over which those of a shard are spread."""
        shards, frames = self.corpus.manifest.shards, self.corpus.manifest.windows.frames
        width = sum(self.corpus.modality(name).width for name in self.spec.modalities)
        numbers = len(number_columns(self.corpus.manifest.affects))
        window_bytes = 4 * frames * width + 8 * numbers
        largest = max(shard.num_windows for shard in shards)
        windows = self.spec.buffer_bytes // window_bytes - _SHARDS_BESIDE * largest
        if windows < largest:
            needed = (_SHARDS_BESIDE + 1) * largest * window_bytes
            raise CorpusError(
                f"a buffer of {self.spec.buffer_bytes:,} bytes is too small for the shards of "
                f"{self.corpus.storage.uri}\n  expected at least {needed:,}, room for "
                f"{_SHARDS_BESIDE + 1} shards of up to {largest:,} windows",
                "give it more memory, or build the corpus with smaller `corpus.shard_windows`",
            )
        return windows

    def _identity(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "corpus": self.corpus.manifest.digest,
            "modalities": [*spec.modalities],
            "key": spec.key,
            "batch_size": spec.batch_size,
            "buffer_bytes": spec.buffer_bytes,
            "stimuli": [*spec.stimuli],
            "participants": None if spec.participants is None else [*spec.participants],
            "epoch": self.epoch,
        }

    def _resumed(self, state: dict[str, Any]) -> int:
        different = [name for name, mine in self._identity().items() if state.get(name) != mine]
        if different or not isinstance(state.get("num_batches"), int):
            raise CorpusError(
                "this state is not one of this stream\n"
                f"  another: {', '.join(different) or 'num_batches'}",
                "go on with the settings that the state was saved with, or start the epoch again",
            )
        return int(state["num_batches"])
