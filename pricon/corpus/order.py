"""In which order an epoch passes over windows that do not fit into memory. Pure: no bytes are read.

Shards come in a shuffled order, one for everybody, some at a time: a load. With every load begins a
turn, and a load stays for some turns. In which of them a window is given out, and where in that
turn, each reader draws for itself, as a function of its own key and the window alone. So readers
share what is in memory, and each has its windows once, in an order that is its own among the loads
that are there together.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.keyed import bits, key_of

NOBODY = -1
"""Stands for a window where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The wanted windows of one shard.

    Args:
        shard: number of the shard in the corpus.
        first: position of the shard's first window in the corpus.
        rows: which of its windows are wanted, rising, at least one.
    """

    shard: int
    first: int
    rows: NDArray[np.int64]

    @property
    def windows(self) -> NDArray[np.int64]:
        """Positions of the wanted windows in the corpus, rising."""
        return self.first + self.rows


Load = tuple[Stretch, ...]
"""Shards that come together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The time between the coming of two loads.

    Args:
        number: of the turn in its epoch.
        loads: that are there, the newest first, as many as stay together; empty in place of those
            that would come before the first or after the last.
    """

    number: int
    loads: tuple[Load, ...]

    @property
    def stretches(self) -> Load:
        """Everything that is there."""
        return tuple(chain.from_iterable(self.loads))


def shuffled_shards(num_shards: int, key: int, epoch: int) -> NDArray[np.int64]:
    """Numbers of all shards in the order of an epoch, shape (num_shards,)."""
    drawn = bits(key_of("stream: shards", key, epoch), np.arange(num_shards))
    return np.argsort(drawn, kind="stable")


def loads_of(stretches: Iterable[Stretch], most: int) -> Iterator[Load]:
    """Stretches that follow each other, as many as have `most` windows together, or one."""
    load: list[Stretch] = []
    num = 0
    for stretch in stretches:
        if load and num + len(stretch.rows) > most:
            yield tuple(load)
            load, num = [], 0
        load.append(stretch)
        num += len(stretch.rows)
    if load:
        yield tuple(load)


def turns(loads: Iterable[Load], stay: int) -> Iterator[Turn]:
    """All turns of an epoch.

    Args:
        loads: in the order in which they come.
        stay: turns for which each of them is there.
    """
    here: deque[Load] = deque([()] * stay, maxlen=stay)
    for number, load in enumerate(chain(loads, repeat((), stay - 1))):
        here.appendleft(load)
        yield Turn(number=number, loads=tuple(here))


def windows_of(load: Load) -> NDArray[np.int64]:
    """Positions in the corpus of all wanted windows of a load, shape (n,)."""
    return np.concatenate([np.empty(0, np.int64), *(stretch.windows for stretch in load)])


def given_out(windows: Sequence[NDArray[np.int64]], key: int) -> NDArray[np.int64]:
    """Which windows a reader is given in a turn, in its order.

    Args:
        windows: the reader's of each load that may be there, the newest first.
        key: of the reader in this epoch.

    Returns:
        Positions in all of `windows`, one load after the other. Over the turns for which a load is
        there, each of its windows is given out once.
    """
    drawn = bits(key, np.concatenate(windows))
    age = np.repeat(np.arange(len(windows), dtype=np.uint64), [len(own) for own in windows])
    now = np.flatnonzero(drawn % np.uint64(len(windows)) == age)
    return now[np.argsort(drawn[now], kind="stable")]
