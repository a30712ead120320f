"""In which order an epoch passes over windows that do not fit into memory. Pure: no bytes are read.

Shards come in a shuffled order. Each of a shard's windows gets a place drawn uniformly from the
`spread` positions that begin with the shard's own, and windows are given out by their places. A
window can so be given out as soon as all shards that begin before its place have come, and has left
before `spread` more windows have come: a shuffle buffer, bounded, in which every draw is a function
of the key, the epoch and the window alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.keyed import bits, key_of, uniform

NOBODY = -1
"""Stands for a window where a rank has fewer of them than others."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What can be given out once one more shard has come.

    Args:
        arrived: the shard.
        shards: shard of each window that is given out now, shape (n,).
        rows: which of that shard's wanted windows it is, shape (n,).
    """

    arrived: Stretch
    shards: NDArray[np.int64]
    rows: NDArray[np.int64]


def shuffled_shards(num_shards: int, key: int, epoch: int) -> NDArray[np.int64]:
    """Numbers of all shards in the order of an epoch, shape (num_shards,)."""
    drawn = bits(key_of("stream: shards", key, epoch), np.arange(num_shards))
    return np.argsort(drawn, kind="stable")


def steps(
    stretches: Iterator[Stretch], *, key: int, epoch: int, spread: int, batch_size: int
) -> Iterator[Step]:
    """A step a stretch: whole batches, and in the last step the rest.

    Args:
        stretches: in the order in which they come.
        key: of the whole stream.
        epoch: every epoch has its own order.
        spread: windows over which those of one shard are spread, if it has fewer itself.
        batch_size: windows of a batch.
    """
    draws = key_of("stream: windows", key, epoch)
    waiting = _Waiting(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    num_come = 0
    arrived = next(stretches, None)
    while arrived is not None:
        following = next(stretches, None)
        num = len(arrived.rows)
        drawn = uniform(draws, arrived.first + arrived.rows)
        waiting = waiting.joined(num_come + drawn * max(num, spread), arrived)
        num_come += num
        num_ready = int(np.searchsorted(waiting.place, num_come))
        count = num_ready // batch_size * batch_size
        if following is None:
            count = len(waiting.place)
        yield Step(arrived=arrived, shards=waiting.shard[:count], rows=waiting.row[:count])
        waiting = waiting.after(count)
        arrived = following


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Windows that have come and not been given out, by rising place."""

    place: NDArray[np.float64]
    shard: NDArray[np.int64]
    row: NDArray[np.int64]

    def joined(self, place: NDArray[np.float64], stretch: Stretch) -> "_Waiting":
        places = np.concatenate([self.place, place])
        shards = np.concatenate([self.shard, np.full(len(place), stretch.shard)])
        rows = np.concatenate([self.row, np.arange(len(stretch.rows))])
        order = np.argsort(places, kind="stable")
        return _Waiting(places[order], shards[order], rows[order])

    def after(self, count: int) -> "_Waiting":
        return _Waiting(self.place[count:], self.shard[count:], self.row[count:])


def dealt(num: int, batch_size: int, world_size: int) -> list[NDArray[np.int64]]:
    """Which of `num` windows that begin with a batch each rank gets, batch by batch.

    Returns:
        For each batch, shape (ranks, most windows of a rank), -1 where a rank has fewer.

    >>> [one.tolist() for one in dealt(5, 4, world_size=2)]
    [[[0, 2], [1, 3]], [[4], [-1]]]
    """
    deals = []
    for start in range(0, num, batch_size):
        most = -(-min(batch_size, num - start) // world_size)
        deal = start + np.arange(most * world_size).reshape(most, world_size).T
        deals.append(np.where(deal < min(start + batch_size, num), deal, NOBODY))
    return deals
