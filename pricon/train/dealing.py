"""Windows that pass by, dealt to everybody who wants them in whole batches of their own.

What a draw gets depends on its own windows alone: the k-th batch is the k-th `batch_size` of them.
It is given out with the pass' batch that completes it; what is left at the end comes last.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from pricon.train.examples import PADDING
from pricon.train.ranks import Ranks
from pricon.train.streamed_windows import Passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """Batches of those draws that have one; of the others, padding.

    Args:
        number: of the pass' batch with which these are given out.
        rows: shape (draws, ranks, most of a rank), `PADDING` where a rank has fewer.
        features: modality -> this rank's, shape (draws, most, width) or (draws, most, frames,
            width); 0 where padded.
    """

    number: int
    rows: Int64[np.ndarray, "draws ranks most"]
    features: dict[str, Float32[np.ndarray, "draws most ..."]]


@dataclass(slots=True)
class _Hand:
    """What a draw has got and not given out: rows, the ranks they are on, this rank's features."""

    chunks: deque[tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float32]]]] = (
        field(default_factory=deque)
    )
    num: int = 0

    def add(
        self,
        rows: NDArray[np.int64],
        owner: NDArray[np.int64],
        features: dict[str, NDArray[np.float32]],
    ) -> None:
        if len(rows):
            self.chunks.append((rows, owner, features))
            self.num += len(rows)

    def cut(
        self, num: int, rank: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float32]]]:
        """The first `num`, or all; the rest stays."""
        rows, owner = (np.concatenate([chunk[part] for chunk in self.chunks]) for part in (0, 1))
        features = {
            name: np.concatenate([chunk[2][name] for chunk in self.chunks])
            for name in self.chunks[0][2]
        }
        own = int((owner[:num] == rank).sum())
        self.chunks.clear()
        self.num = 0
        rest = {name: values[own:] for name, values in features.items()}
        self.add(rows[num:], owner[num:], rest)
        return rows[:num], owner[:num], {name: values[:own] for name, values in features.items()}


class Dealer:
    """Deals one pass.

    Args:
        inside: which windows each draw wants, shape (draws, windows).
        batch_size: windows of a batch, all ranks together.
        ranks: who share it.
        waits: until all draws have a batch, or one has two: of no consequence for what they get,
            but computing on padding takes as long as on windows. A pass that may be gone on with
            must not wait: when a draw's batch comes would depend on the others.
    """

    def __init__(
        self,
        inside: Bool[np.ndarray, "draws windows"],
        batch_size: int,
        ranks: Ranks,
        *,
        waits: bool = False,
    ) -> None:
        self.inside = inside
        self.batch_size = batch_size
        self.ranks = ranks
        self.waits = waits
        self.hands = [_Hand() for _ in inside]

    def deal(self, passing: Iterable[Passing], seen: "Seen") -> Iterator[Deal]:
        """Deals of these batches of a pass.

        Args:
            passing: from `seen.start` on.
            seen: what was dealt before.
        """
        number = seen.start - 1
        left = seen.left_out.copy()
        for number, one in enumerate(passing, seen.start):
            self._take(one, left)
            if number >= seen.num_batches and self._is_due():
                yield self._give(number)
        while any(hand.num for hand in self.hands):
            number += 1
            yield self._give(number, is_last=True)

    def _take(self, one: Passing, left: NDArray[np.int64]) -> None:
        """Windows to those who want them, but for the first `left` of each."""
        in_order = one.rows.T.flatten()
        there = in_order != PADDING
        owner = np.tile(np.arange(self.ranks.size), one.rows.shape[1])[there]
        in_order = in_order[there]
        for draw, hand in enumerate(self.hands):
            wanted = np.flatnonzero(self.inside[draw, in_order])
            passed = min(int(left[draw]), len(wanted))
            left[draw] -= passed
            if passed == len(wanted):
                continue
            is_taken = np.zeros(len(in_order), np.bool_)
            is_taken[wanted[passed:]] = True
            own = np.flatnonzero(is_taken[owner == self.ranks.index])
            features = {name: values[own] for name, values in one.features.items()}
            hand.add(in_order[is_taken], owner[is_taken], features)

    def _is_due(self) -> bool:
        num = [hand.num for hand in self.hands]
        if self.waits:
            return min(num) >= self.batch_size or max(num) >= 2 * self.batch_size
        return max(num) >= self.batch_size

    def _give(self, number: int, *, is_last: bool = False) -> Deal:
        """A batch of each draw that has a whole one; at the end, of each that has anything."""
        least = 1 if is_last else self.batch_size
        cut = {
            draw: hand.cut(self.batch_size, self.ranks.index)
            for draw, hand in enumerate(self.hands)
            if hand.num >= least
        }
        counts = {
            draw: np.bincount(owner, minlength=self.ranks.size)
            for draw, (_, owner, _) in cut.items()
        }
        most = max(int(count.max()) for count in counts.values())
        rows = np.full((len(self.hands), self.ranks.size, most), PADDING, np.int64)
        features: dict[str, NDArray[np.float32]] = {}
        for draw, (own, owner, values) in cut.items():
            for rank in range(self.ranks.size):
                of_rank = own[owner == rank]
                rows[draw, rank, : len(of_rank)] = of_rank
            for name, some in values.items():
                if name not in features:
                    shape = (len(self.hands), most, *some.shape[1:])
                    features[name] = np.zeros(shape, np.float32)
                features[name][draw, : len(some)] = some
        return Deal(number=number, rows=rows, features=features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What of a pass is behind a checkpoint.

    Args:
        num_batches: of the pass.
        start: the first of them that has windows which were not given out.
        left_out: wanted windows of each draw, from `start` on, that were, shape (draws,).
    """

    num_batches: int
    start: int
    left_out: NDArray[np.int64]

    @staticmethod
    def nothing(num_draws: int) -> "Seen":
        """At the beginning of a pass."""
        return Seen(num_batches=0, start=0, left_out=np.zeros(num_draws, np.int64))

    @staticmethod
    def of(
        passed: Iterator[NDArray[np.int64]],
        inside: Bool[np.ndarray, "draws windows"],
        batch_size: int,
        num_batches: int,
    ) -> "Seen":
        """What a dealer that does not wait has dealt with the first batches of a pass.

        Args:
            passed: rows of each batch of the pass, in whatever order.
            inside: which windows each draw wants, shape (draws, windows).
            batch_size: of the dealer.
            num_batches: that were passed.
        """
        got = np.zeros(len(inside), np.int64)
        given = np.zeros(len(inside), np.int64)
        recent: deque[tuple[int, NDArray[np.int64]]] = deque()
        for number in range(num_batches):
            recent.append((number, got.copy()))
            rows = next(passed, None)
            if rows is None:  # what is given out after the last
                return Seen(num_batches=num_batches, start=number, left_out=got - recent[-1][1])
            got += inside[:, rows[rows != PADDING]].sum(axis=1)
            given += np.where(got - given >= batch_size, batch_size, 0)
            while len(recent) > 1 and (recent[1][1] <= given).all():
                recent.popleft()
        if not recent:
            return Seen(num_batches=0, start=0, left_out=given)
        start, before = recent[0]
        return Seen(num_batches=num_batches, start=start, left_out=given - before)
