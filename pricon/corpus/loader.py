"""Shards in memory for a stream: read ahead of their use, forgotten behind it."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.gather import Column, Place, read_place
from pricon.corpus.order import Step, Stretch
from pricon.corpus.reader import Corpus
from pricon.errors import CorpusError

AHEAD = 2
"""Shards that are read while the windows of others are used."""


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
    """Reads shards ahead in threads, and forgets them when they are used up.

    Args:
        corpus: is read.
        modalities: whose features are wanted.
        sessions: whose windows.
    """

    def __init__(self, corpus: Corpus, modalities: tuple[str, ...], sessions: Sessions) -> None:
        self.corpus = corpus
        self.modalities = modalities
        self.sessions = sessions
        self.pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="pricon-stream")
        self.stretches: dict[int, Stretch] = {}
        self.left: dict[int, int] = {}
        self.reading: dict[int, Future[dict[str, Column]]] = {}

    def expect(self, stretch: Stretch) -> None:
        """A shard's windows will be asked for, or passed over."""
        self.stretches[stretch.shard] = stretch
        self.left[stretch.shard] = len(stretch.rows)

    def release(self, shards: NDArray[np.int64]) -> None:
        """One window of each of these shards, which may come repeatedly, was given out."""
        for shard, count in zip(*np.unique(shards, return_counts=True), strict=True):
            number = int(shard)
            self.left[number] -= int(count)
            if self.left[number] == 0:
                del self.left[number], self.stretches[number]
                self.reading.pop(number, None)

    def ahead(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The same steps; what they need is being read when they come."""
        waiting: deque[Step] = deque()
        for step in steps:
            waiting.append(step)
            for number in self.stretches.keys() - self.reading.keys():
                self.reading[number] = self.pool.submit(self._read, self.stretches[number])
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting

    def windows(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the corpus of these windows, shape (n,); arguments as in `gather`."""
        windows = np.empty(len(shards), np.int64)
        for number, here in _by_shard(shards):
            stretch = self.stretches[number]
            windows[here] = stretch.first + stretch.rows[rows[here]]
        return windows

    def gather(
        self, shards: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """Features of these windows, in this order, shape (n, frames, width) each.

        Args:
            shards: number of each window's shard, shape (n,).
            rows: which of the shard's wanted windows, shape (n,).
        """
        columns = self._columns(len(shards))
        for number, here in _by_shard(shards):
            read = self.reading[number].result()
            for name, column in columns.items():
                column.values[here] = read[name].values[rows[here]]
        return {name: column.values for name, column in columns.items()}

    def close(self) -> None:
        """Give up what is being read, and what was."""
        self.pool.shutdown(cancel_futures=True)
        self.reading.clear()

    def _columns(self, num: int) -> dict[str, Column]:
        stimuli = self.sessions.stimuli
        return {name: self.corpus.column(name, stimuli, num) for name in self.modalities}

    def _read(self, stretch: Stretch) -> dict[str, Column]:
        columns = self._columns(len(stretch.rows))
        shard = self.corpus.manifest.shards[stretch.shard]
        place = Place(shard=shard, rows=stretch.rows, at=0)
        read_place(self.corpus.storage, place, columns, self.corpus.cache)
        return columns


def _by_shard(shards: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each shard that is named, and where."""
    order = np.argsort(shards, kind="stable")
    numbers, first = np.unique(shards[order], return_index=True)
    ends = [*first[1:], len(order)]
    for number, start, end in zip(numbers.tolist(), first, ends, strict=False):
        yield number, order[start:end]
