"""Columns of many shards, read at once into one array each.

Owns which windows of a shard go where; what windows there are is the reader's.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.manifest import ShardEntry
from pricon.corpus.shards import read_into
from pricon.storage import Storage
from pricon.stores.cache import PartCache

_FETCHES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Windows of one shard that are wanted.

    Args:
        shard: holds them.
        rows: which of the shard's windows, rising.
        at: where the first of them goes.
    """

    shard: ShardEntry
    rows: NDArray[np.int64]
    at: int

    @property
    def target(self) -> slice:
        """Where they go."""
        return slice(self.at, self.at + len(self.rows))

    @property
    def is_whole(self) -> bool:
        """Whether all windows of the shard are wanted."""
        return len(self.rows) == self.shard.num_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of all shards, and where it goes.

    Args:
        values: shape (wanted windows,), or (wanted windows, frames, kept features).
        width: features that shards hold; 0 for a column of numbers.
        kept: which of these are wanted.
    """

    values: NDArray[Any]
    width: int = 0
    kept: tuple[int, ...] = ()

    def room(self, place: Place) -> NDArray[Any]:
        """Where to read a whole shard: at its target, if all of it is wanted."""
        if self._takes_all(place):
            return self.values[place.target]
        features = (*self.values.shape[1:-1], self.width) if self.width else ()
        return np.empty((place.shard.num_windows, *features), self.values.dtype)

    def pick(self, place: Place, read: NDArray[Any]) -> None:
        """Move what is wanted from where a shard was read."""
        if not self._takes_all(place):
            wanted = read if place.is_whole else read[place.rows]
            self.values[place.target] = wanted[..., self.kept] if self.width else wanted

    def _takes_all(self, place: Place) -> bool:
        return place.is_whole and len(self.kept) == self.width


def gather(
    storage: Storage,
    places: Sequence[Place],
    columns: Mapping[str, Column],
    cache: PartCache | None = None,
) -> None:
    """Fill `columns` from these places, some shards at once; see `read_into` for `cache`.

    Raises:
        CorpusError: the first damaged or missing shard.
        StorageError: the store failed.
    """
    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        reads = [pool.submit(read_place, storage, place, columns, cache) for place in places]
        try:
            for one in reads:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def read_place(
    storage: Storage,
    place: Place,
    columns: Mapping[str, Column],
    cache: PartCache | None = None,
) -> None:
    """Fill what one shard has of `columns`.

    Raises:
        CorpusError: it is damaged or missing.
        StorageError: the store failed.
    """
    into = {name: column.room(place) for name, column in columns.items()}
    read_into(storage, place.shard, into, cache)
    for name, column in columns.items():
        column.pick(place, into[name])
