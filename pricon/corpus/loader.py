"""Shards in memory for a stream: read ahead of their use, forgotten behind it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.gather import Column, Place, read_place
from pricon.corpus.order import NOBODY, Stretch
from pricon.corpus.reader import Corpus
from pricon.errors import CorpusError

AHEAD = 2
"""Shards that are read at once while the windows of others are used."""

_PREPARED_AT_ONCE = 64
"""Windows; what is made on the way to what is kept of them, wider numbers say, stays small."""

Features = dict[str, NDArray[np.float32]]
Prepare = Callable[[NDArray[np.int64], Features], Features]


class Sessions:
    """Which windows of a corpus are wanted, told by their sessions; needs no memory a window.

    Args:
        corpus: is asked.
        stimuli: whose windows; none named means all.
        participants: whose windows; None means everybody's.

    Raises:
        CorpusError: unknown names, or no window at all.
    """

    def __init__(
        self, corpus: Corpus, stimuli: tuple[str, ...], participants: tuple[str, ...] | None
    ) -> None:
        self.stimuli = corpus.known_stimuli(stimuli)
        people = {*(corpus.manifest.participants if participants is None else participants)}
        sessions = corpus.manifest.sessions
        self.ends = np.cumsum([one.num_windows for one in sessions])
        self.wanted = np.array(
            [one.stimulus in self.stimuli and one.participant in people for one in sessions]
        )
        if not self.wanted.any():
            raise CorpusError(
                f"no windows to stream from {corpus.storage.uri}\n"
                f"  none of {len(people)} participants was recorded with {', '.join(self.stimuli)}",
                "`pricon corpus inspect` says who was",
            )

    def rows(self, first: int, num: int) -> NDArray[np.int64]:
        """Which of `num` windows that begin at `first` are wanted."""
        session = np.searchsorted(self.ends, np.arange(first, first + num), side="right")
        return np.flatnonzero(self.wanted[session])


class Loader:
    """Reads shards ahead in threads, and forgets them when they are not needed any more.

    Args:
        corpus: is read.
        modalities: whose features are wanted.
        sessions: whose windows.
        prepare: what is kept of windows, given their positions in the corpus, shape (n,), and
            modality -> features, shape (n, frames, width): name -> float32, shape (n, ...). Called
            in threads.
    """

    def __init__(
        self,
        corpus: Corpus,
        modalities: tuple[str, ...],
        sessions: Sessions,
        prepare: Prepare,
    ) -> None:
        self.corpus = corpus
        self.modalities = modalities
        self.sessions = sessions
        self.prepare = prepare
        self.first = np.cumsum([0, *(shard.num_windows for shard in corpus.manifest.shards)])
        self.pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="pricon-stream")
        self.held: dict[int, Stretch] = {}
        self.reading: dict[int, Future[Features]] = {}

    def stretch(self, shard: int) -> Stretch:
        """The wanted windows of a shard; it may have none."""
        first = int(self.first[shard])
        rows = self.sessions.rows(first, self.corpus.manifest.shards[shard].num_windows)
        return Stretch(shard=shard, first=first, rows=rows)

    def hold(self, stretches: Iterable[Stretch]) -> None:
        """Have these, in memory or on their way, and no others."""
        self.held = {one.shard: one for one in stretches}
        for number in self.reading.keys() - self.held.keys():
            self.reading.pop(number).cancel()  # where nobody has asked for it yet
        for number, stretch in self.held.items():
            if number not in self.reading:
                self.reading[number] = self.pool.submit(self._read, stretch)

    def features(self, stretch: Stretch) -> Features:
        """What is kept of all windows of a stretch; read now, if it is not held.

        Raises:
            CorpusError: the shard is damaged or missing.
            StorageError: the store failed.
        """
        held = self.reading.get(stretch.shard)
        return self._read(stretch) if held is None else held.result()

    def gather(self, windows: NDArray[np.int64]) -> Features:
        """What is kept of these windows, shape (*windows.shape, ...); 0 where `NOBODY`.

        Raises:
            CorpusError: a damaged or missing shard.
            StorageError: the store failed.
        """
        flat = windows.reshape(-1)
        gathered = self._room(len(flat))
        there = np.flatnonzero(flat != NOBODY)
        shards = np.searchsorted(self.first, flat[there], side="right") - 1
        for number, here in _by_shard(shards):
            stretch, at = self.held.get(number) or self.stretch(number), there[here]
            rows = flat[at] - stretch.first
            if len(stretch.rows) < self.first[number + 1] - stretch.first:
                rows = np.searchsorted(stretch.rows, rows)
            for name, values in self.features(stretch).items():
                gathered[name][at] = values[rows]
        return {
            name: values.reshape(*windows.shape, *values.shape[1:])
            for name, values in gathered.items()
        }

    def close(self) -> None:
        """Give up what is being read, and what was."""
        self.pool.shutdown(cancel_futures=True)
        self.held.clear()
        self.reading.clear()

    def _read(self, stretch: Stretch) -> Features:
        columns = self._columns(len(stretch.rows))
        shard = self.corpus.manifest.shards[stretch.shard]
        place = Place(shard=shard, rows=stretch.rows, at=0)
        read_place(self.corpus.storage, place, columns, self.corpus.cache)
        kept = self._room(len(stretch.rows))
        for start in range(0, len(stretch.rows), _PREPARED_AT_ONCE):
            some = slice(start, start + _PREPARED_AT_ONCE)
            raw = {name: column.values[some] for name, column in columns.items()}
            for name, values in self.prepare(stretch.windows[some], raw).items():
                kept[name][some] = values
        return kept

    def _columns(self, num: int) -> dict[str, Column]:
        stimuli = self.sessions.stimuli
        return {name: self.corpus.column(name, stimuli, num) for name in self.modalities}

    def _room(self, num: int) -> Features:
        """Zeros for so many windows, in the shape in which they are kept."""
        return {
            name: np.zeros((num, *values.shape[1:]), np.float32)
            for name, values in self._nothing.items()
        }

    @cached_property
    def _nothing(self) -> Features:
        raw = {name: column.values for name, column in self._columns(0).items()}
        return self.prepare(np.empty(0, np.int64), raw)


def _by_shard(shards: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each shard that is named, and where."""
    order = np.argsort(shards, kind="stable")
    numbers, first = np.unique(shards[order], return_index=True)
    ends = [*first[1:], len(order)]
    for number, start, end in zip(numbers.tolist(), first, ends, strict=False):
        yield number, order[start:end]
