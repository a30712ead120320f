"""Windows of a corpus larger than memory, turn by turn, in the order of `pricon.corpus.order`.

What a rank holds is bounded: the loads of a turn, the load on its way, and the shards that are just
being read. Every rank reads every shard, as every batch has windows of many, and takes its share of
each batch; the order does not depend on the number of ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.loader import AHEAD, Features, Loader, Prepare, Sessions
from pricon.corpus.order import Stretch, Turn, loads_of, shuffled_shards, turns
from pricon.corpus.reader import Corpus
from pricon.errors import CorpusError

_SHARDS_BESIDE = 3 * AHEAD + 1
"""Shards for which there must be room besides the buffer: bytes, arrays and chosen windows of those
that are being read, and the batches made of one."""

_LONGEST_STAY = 4
"""Turns for which a load stays where the buffer has room for so many and one that comes. With more,
windows meet those of little more shards, and everybody draws more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What a stream passes over, and how. Two of one spec have the same turns.

    Args:
        modalities: whose features are read.
        key: of the order of shards.
        buffer_bytes: most bytes of columns that a rank holds; part of what determines the order.
        stimuli: whose windows; none named means all.
        participants: whose windows; None means everybody's.
    """

    modalities: tuple[str, ...]
    key: int
    buffer_bytes: int
    stimuli: tuple[str, ...] = ()
    participants: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many windows a buffer has room for, and how they use it.

    Args:
        load: most windows that come at once.
        stay: turns for which they stay.
    """

    load: int
    stay: int

    @property
    def turn(self) -> int:
        """Most windows that are there in a turn."""
        return self.load * self.stay


def whole(_: NDArray[np.int64], features: Features) -> Features:
    """Windows as they are in the corpus; see `Loader`."""
    return features


class WindowStream:
    """One epoch.

    Args:
        corpus: is read.
        spec: what of it.
        epoch: from 0; every epoch has its own order of shards.
        prepare: what is kept of windows; see `Loader`. Not more than their features take.

    Raises:
        CorpusError: unknown names, no windows, or a buffer that is too small for this corpus'
            shards.
    """

    def __init__(
        self, corpus: Corpus, spec: StreamSpec, *, epoch: int, prepare: Prepare = whole
    ) -> None:
        self.spec = spec
        self.epoch = epoch
        sessions = Sessions(corpus, spec.stimuli, spec.participants)
        self.room = room_for(corpus, spec.modalities, spec.buffer_bytes)
        self.loader = Loader(corpus, spec.modalities, sessions, prepare)

    def order(self) -> Iterator[Turn]:
        """All turns of the epoch; nothing is read."""
        return turns(loads_of(self._stretches(), self.room.load), self.room.stay)

    def turns(self, first: int = 0) -> Iterator[Turn]:
        """Turns from the `first` on.

        While one lasts, its loads are in memory or being read, and the next load is read ahead.
        """
        coming = islice(self.order(), first, None)
        turn = next(coming, None)
        try:
            while turn is not None:
                following = next(coming, None)
                ahead = () if following is None else following.loads[0]
                self.loader.hold((*turn.stretches, *ahead))
                yield turn
                turn = following
        finally:
            self.loader.close()

    def through(self) -> Iterator[tuple[NDArray[np.int64], Features]]:
        """All windows, shard by shard: positions in the corpus, and what is kept of them.

        Raises:
            CorpusError: a damaged or missing shard.
            StorageError: the store failed.
        """
        for turn in self.turns():
            for stretch in turn.loads[0]:
                yield stretch.windows, self.loader.features(stretch)

    def gather(self, windows: NDArray[np.int64]) -> Features:
        """See `Loader`; of windows that are not there, shards are read once more."""
        return self.loader.gather(windows)

    def _stretches(self) -> Iterator[Stretch]:
        num_shards = len(self.loader.corpus.manifest.shards)
        for number in shuffled_shards(num_shards, self.spec.key, self.epoch).tolist():
            stretch = self.loader.stretch(number)
            if len(stretch.rows):
                yield stretch


def room_for(corpus: Corpus, modalities: tuple[str, ...], buffer_bytes: int) -> Room:
    """What so many bytes have room for.

    Raises:
        CorpusError: too few for the corpus' shards, or an unknown modality.
    """
    shards, frames = corpus.manifest.shards, corpus.manifest.windows.frames
    width = sum(corpus.modality(name).width for name in modalities)
    window_bytes = 4 * frames * max(width, 1)
    largest = max(shard.num_windows for shard in shards)
    windows = buffer_bytes // window_bytes - _SHARDS_BESIDE * largest
    loads = min(windows // largest, _LONGEST_STAY + 1)
    if loads < 2:
        needed = (_SHARDS_BESIDE + 2) * largest * window_bytes
        raise CorpusError(
            f"a buffer of {buffer_bytes:,} bytes is too small for the shards of "
            f"{corpus.storage.uri}\n  expected at least {needed:,}, room for "
            f"{_SHARDS_BESIDE + 2} shards of up to {largest:,} windows",
            "give it more memory (`optimisation.streaming.buffer_mb`), or build the corpus with "
            "smaller `corpus.shard_windows`",
        )
    return Room(load=windows // loads, stay=loads - 1)
