"""Windows that pass by, dealt to everybody who wants them in whole batches of their own.

What a draw gets depends on its own windows and key alone: the k-th batch is the k-th `batch_size`
of them in the order of `pricon.corpus.order`. In a turn it is given all that are whole; the rest
waits for another turn, less than two batches where a load holds as many windows as a batch, and
what is left at the end comes last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from pricon.corpus.loader import Features
from pricon.corpus.order import NOBODY, Turn, given_out, windows_of
from pricon.corpus.stream import WindowStream
from pricon.heartbeat import beat
from pricon.train.examples import PADDING
from pricon.train.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """Batches of those draws that have one; of the others, padding.

    Args:
        number: rising; that of a draw's batch does not depend on the other draws.
        rows: shape (draws, ranks, most of a rank), `PADDING` where a rank has fewer.
        features: modality -> this rank's, shape (draws, most, width) or (draws, most, frames,
            width); 0 where padded.
    """

    number: int
    rows: Int64[np.ndarray, "draws ranks most"]
    features: dict[str, Float32[np.ndarray, "draws most ..."]]


@dataclass(slots=True)
class _Hand:
    """Windows of a draw that are not given out, in order, from the beginning of a batch on.

    Args:
        rows: of these windows in the index.
        kept: features of the first of them that are this rank's, for their shards may be gone.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    kept: Features = field(default_factory=dict)

    @property
    def num_kept(self) -> int:
        """Windows of this rank whose features are kept."""
        return len(next(iter(self.kept.values()), ()))

    def cut(self, num: int, num_own: int) -> "_Hand":
        """The first `num` windows, `num_own` of them this rank's; the rest stays."""
        first = _Hand(self.rows[:num], {name: own[:num_own] for name, own in self.kept.items()})
        self.rows = self.rows[num:]
        self.kept = {name: own[num_own:] for name, own in self.kept.items()}
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealer:
    """Deals one epoch.

    Args:
        stream: what passes by.
        window: position in the corpus of each row of the index, rising, shape (windows,).
        inside: which rows each draw wants, shape (draws, windows).
        keys: of the order of each draw in this epoch.
        batch_size: windows of a batch, all ranks together.
        ranks: who share it: its windows are dealt to them one by one.
        waits: until all draws have a batch, or one has two: of no consequence for what they get,
            but computing on padding takes as long as on windows. An epoch that may be gone on with
            must not wait: when a draw's batch comes would depend on the others.
    """

    stream: WindowStream
    window: Int64[np.ndarray, " windows"]
    inside: Bool[np.ndarray, "draws windows"]
    keys: Sequence[int]
    batch_size: int
    ranks: Ranks
    waits: bool = False

    def deal(self, after: int = 0) -> Iterator[Deal]:
        """All deals but those of lower number than `after`, which are passed over unread.

        Raises:
            CorpusError: a damaged or missing shard.
            StorageError: the store failed.
        """
        first = after // self._most_rounds
        hands, end = self._hands_before(first), first
        for turn in self.stream.turns(first):
            self._take(hands, turn)
            yield from self._give(hands, turn.number, self._rounds(hands, turn.number), after)
            self._keep(hands)
            end = turn.number + 1
        rounds = -(-_most(hands) // self.batch_size)
        yield from self._give(hands, end, rounds, after, is_last=True)

    def orders(self) -> list[NDArray[np.int64]]:
        """Rows of each draw in its order; nothing is read."""
        turns = [self._given_out(turn) for turn in self.stream.order()]
        return [np.concatenate(own) for own in zip(*turns, strict=True)]

    @property
    def _turns_a_deal(self) -> int:
        """As many as it takes for a batch of windows to come: else most draws would have none."""
        return 1 if self.waits else -(-self.batch_size // self.stream.room.load)

    @property
    def _most_rounds(self) -> int:
        """More than there can be with a turn: nobody is given more windows than there are."""
        return self._turns_a_deal * self.stream.room.turn // self.batch_size + 3

    def _rounds(self, hands: list[_Hand], turn: int) -> int:
        """How often in a turn everybody is given a batch who has a whole one."""
        most = _most(hands) // self.batch_size
        if self.waits:
            return max(min(len(hand.rows) for hand in hands) // self.batch_size, most - 1)
        return most if (turn + 1) % self._turns_a_deal == 0 else 0

    def _given_out(self, turn: Turn) -> list[NDArray[np.int64]]:
        """Rows that each draw is given out in a turn, in its order."""
        windows = [windows_of(load) for load in turn.loads]
        rows = [np.searchsorted(self.window, some) for some in windows]
        given = []
        for inside, key in zip(self.inside, self.keys, strict=True):
            own = [row[inside[row]] for row in rows]
            order = given_out([self.window[row] for row in own], key)
            given.append(np.concatenate(own)[order])
        return given

    def _take(self, hands: list[_Hand], turn: Turn) -> None:
        for hand, given in zip(hands, self._given_out(turn), strict=True):
            hand.rows = np.concatenate([hand.rows, given])

    def _hands_before(self, turn: int) -> list[_Hand]:
        """What everybody has when a turn begins, of which nothing is kept."""
        hands = [_Hand() for _ in self.inside]
        for passed in islice(self.stream.order(), turn):
            self._take(hands, passed)
            for _ in range(self._rounds(hands, passed.number)):
                self._due(hands)
            beat()
        return hands

    def _give(
        self, hands: list[_Hand], turn: int, rounds: int, after: int, *, is_last: bool = False
    ) -> Iterator[Deal]:
        """Deals of a turn but those of lower number than `after`."""
        first = turn * self._most_rounds
        for number in range(first, first + rounds):
            due = self._due(hands, is_last=is_last)
            if number < after:
                continue
            most = -(-_most(due) // self.ranks.size)
            rows = np.full((len(due), most, self.ranks.size), PADDING, np.int64)
            for of_draw, hand in zip(rows, due, strict=True):
                of_draw.reshape(-1)[: len(hand.rows)] = hand.rows
            features = self._features(due, most)
            yield Deal(number=number, rows=rows.swapaxes(1, 2), features=features)

    def _due(self, hands: list[_Hand], *, is_last: bool = False) -> list[_Hand]:
        """A batch out of each hand that has a whole one; at the end, of each that has anything."""
        due = []
        for hand in hands:
            is_due = is_last or len(hand.rows) >= self.batch_size
            num = min(self.batch_size, len(hand.rows)) if is_due else 0
            due.append(hand.cut(num, len(range(self.ranks.index, num, self.ranks.size))))
        return due

    def _keep(self, hands: list[_Hand]) -> None:
        """Features of what waits for another turn, out of shards that may be gone by then."""
        num_own = [len(self._own(hand)) for hand in hands]
        features = self._features(hands, max(num_own))
        for draw, (hand, num) in enumerate(zip(hands, num_own, strict=True)):
            hand.kept = {name: values[draw, :num] for name, values in features.items()}

    def _features(self, hands: list[_Hand], most: int) -> Features:
        """Of this rank's windows of each hand, shape (draws, most, ...), 0 where padded."""
        windows = np.full((len(hands), most), NOBODY, np.int64)
        for of_draw, hand in zip(windows, hands, strict=True):
            own = self._own(hand)
            of_draw[hand.num_kept : len(own)] = self.window[own[hand.num_kept :]]
        features = self.stream.gather(windows)
        for draw, hand in enumerate(hands):
            for name, values in hand.kept.items():
                features[name][draw, : len(values)] = values
        return features

    def _own(self, hand: _Hand) -> NDArray[np.int64]:
        """This rank's rows of a hand."""
        place = np.arange(len(hand.rows)) % self.batch_size
        own: NDArray[np.int64] = hand.rows[place % self.ranks.size == self.ranks.index]
        return own


def _most(hands: list[_Hand]) -> int:
    return max(len(hand.rows) for hand in hands)
