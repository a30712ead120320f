"""Windows of a corpus larger than memory, batch by batch, in the order of `pricon.corpus.order`.

What a rank holds is bounded: shards whose windows have not all been given out, two that are on
their way, and the batches at hand. Every rank reads every shard, as every global batch has windows
of many, and keeps its share of each batch; the order does not depend on the number of ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.loader import AHEAD, Loader, Sessions
from pricon.corpus.order import NOBODY, Step, Stretch, dealt, shuffled_shards, steps
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
    """A global batch, and the features of one rank's share of it.

    Args:
        number: of the batch in its epoch.
        windows: identities of all its windows, position in the corpus: a row a rank, shape (ranks,
            most windows of a rank), `order.NOBODY` at the end of ranks that have fewer.
        features: modality -> shape (windows of this rank, frames, width).
    """

    number: int
    windows: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]


class WindowStream:
    """One epoch of batches, once. Another stream can go on after any of them.

    Args:
        corpus: is read.
        spec: what of it.
        epoch: from 0; every epoch has its own order.
        rank: whose share of each batch.
        world_size: ranks.
        after: batches that are left out; the number of ranks may be another one than before.

    Raises:
        CorpusError: unknown names, no windows, or a buffer that is too small for this corpus'
            shards.
    """

    def __init__(
        self,
        corpus: Corpus,
        spec: StreamSpec,
        *,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        after: int = 0,
    ) -> None:
        self.corpus = corpus
        self.spec = spec
        self.epoch = epoch
        self.rank = rank
        self.world_size = world_size
        self.num_batches = after
        self._sessions = Sessions(corpus, spec.stimuli, spec.participants)
        self._largest = max(shard.num_windows for shard in corpus.manifest.shards)
        self._spread = buffer_windows(corpus, spec.modalities, spec.buffer_bytes)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from here on, read ahead in threads.

        Raises:
            CorpusError: a damaged or missing shard.
            StorageError: the store failed; another stream can go on after `num_batches`.
        """
        loader = self._loader()
        try:
            for step in loader.ahead(self._steps(loader)):
                yield from self._batches(loader, step)
        finally:
            loader.close()

    def windows(self) -> Iterator[NDArray[np.int64]]:
        """Identities of every batch of the epoch, all ranks together, in order; nothing is read."""
        loader, size = self._loader(), self.spec.batch_size
        for step in self._ordered():
            loader.expect(step.arrived)
            windows = loader.windows(step.shards, step.rows)
            loader.release(step.shards)
            yield from (windows[start : start + size] for start in range(0, len(windows), size))

    def _loader(self) -> Loader:
        return Loader(self.corpus, self.spec.modalities, self._sessions)

    def _ordered(self) -> Iterator[Step]:
        return steps(
            self._stretches(),
            key=self.spec.key,
            epoch=self.epoch,
            spread=self._spread,
            batch_size=self.spec.batch_size,
        )

    def _batches(self, loader: Loader, step: Step) -> Iterator[Batch]:
        """Batches of a step, some at a time: the last step has all that is left."""
        size = self.spec.batch_size
        at_once = max(1, self._largest // size) * size
        for start in range(0, len(step.shards), at_once):
            some = slice(start, start + at_once)
            yield from self._gathered(loader, step.shards[some], step.rows[some])

    def _gathered(
        self, loader: Loader, shards: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Iterator[Batch]:
        deals = dealt(len(shards), self.spec.batch_size, self.world_size)
        parts = [deal[self.rank][deal[self.rank] != NOBODY] for deal in deals]
        mine = np.concatenate(parts)
        windows = loader.windows(shards, rows)
        features = loader.gather(shards[mine], rows[mine])
        loader.release(shards)
        end = 0
        for deal, part in zip(deals, parts, strict=True):
            start, end = end, end + len(part)
            number, self.num_batches = self.num_batches, self.num_batches + 1
            yield Batch(
                number=number,
                windows=np.where(deal == NOBODY, NOBODY, windows[deal]),
                features={name: values[start:end] for name, values in features.items()},
            )

    def _steps(self, loader: Loader) -> Iterator[Step]:
        """Steps from where the stream is; what was given out before is passed over unread."""
        before = self.num_batches * self.spec.batch_size
        for step in self._ordered():
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


def buffer_windows(corpus: Corpus, modalities: tuple[str, ...], buffer_bytes: int) -> int:
    """Over how many windows those of a shard can be spread with so many bytes.

    Raises:
        CorpusError: too few for the corpus' shards, or an unknown modality.
    """
    shards, frames = corpus.manifest.shards, corpus.manifest.windows.frames
    width = sum(corpus.modality(name).width for name in modalities)
    window_bytes = 4 * frames * max(width, 1)
    largest = max(shard.num_windows for shard in shards)
    windows = buffer_bytes // window_bytes - _SHARDS_BESIDE * largest
    if windows < largest:
        needed = (_SHARDS_BESIDE + 1) * largest * window_bytes
        raise CorpusError(
            f"a buffer of {buffer_bytes:,} bytes is too small for the shards of "
            f"{corpus.storage.uri}\n  expected at least {needed:,}, room for "
            f"{_SHARDS_BESIDE + 1} shards of up to {largest:,} windows",
            "give it more memory (`optimisation.streaming.buffer_mb`), or build the corpus with "
            "smaller `corpus.shard_windows`",
        )
    return windows
