"""Everybody gets its own windows, each once, in whole batches, whoever else is there."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pricon.corpus.order import NOBODY, dealt
from pricon.train.dealing import Deal, Dealer, Seen
from pricon.train.examples import PADDING
from pricon.train.ranks import Ranks
from pricon.train.streamed_windows import Passing

NUM, BATCH = 150, 8
ORDER = np.random.default_rng(3).permutation(NUM)


def passing(ranks: Ranks, start: int = 0) -> Iterator[Passing]:
    """A pass over `ORDER`; the only feature of a window is its row."""
    for deal in dealt(NUM, BATCH, ranks.size)[start:]:
        rows = np.where(deal == NOBODY, PADDING, ORDER[deal])
        own = rows[ranks.index]
        features = own[own != PADDING].astype(np.float32)[:, None]
        yield Passing(rows=rows, features={"row": features})


def wanted(*shares: float) -> NDArray[np.bool_]:
    """Which windows draws want that want so much of all."""
    return np.random.default_rng(5).random((len(shares), NUM)) < np.array(shares)[:, None]


def deals(
    inside: NDArray[np.bool_],
    ranks: Ranks | None = None,
    after: int = 0,
    *,
    waits: bool = False,
) -> list[Deal]:
    ranks = ranks or Ranks()
    passed = (one.rows[0] for one in passing(Ranks()))
    seen = Seen.of(passed, inside, BATCH, after)
    dealer = Dealer(inside, BATCH, ranks, waits=waits)
    return list(dealer.deal(passing(ranks, seen.start), seen))


def batches(found: list[Deal], draw: int) -> list[tuple[int, list[int]]]:
    """Number and rows of each batch of a draw, rank after rank."""
    return [
        (deal.number, deal.rows[draw][deal.rows[draw] != PADDING].tolist())
        for deal in found
        if (deal.rows[draw] != PADDING).any()
    ]


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@given(shares=SHARES, waits=st.booleans())
def test_each_gets_its_own_windows_in_order_and_in_whole_batches(
    shares: list[float], waits: bool
) -> None:
    inside = wanted(*shares)
    found = deals(inside, waits=waits)
    numbers = [deal.number for deal in found]
    assert numbers == sorted({*numbers}) or waits
    for draw, own in enumerate(inside):
        expected = ORDER[own[ORDER]]
        got = [rows for _, rows in batches(found, draw)]
        assert [row for rows in got for row in rows] == expected.tolist()
        assert all(len(rows) == BATCH for rows in got[:-1])
    for deal in found:
        at = deal.rows[:, 0] != PADDING
        assert (deal.features["row"][at][:, 0] == deal.rows[:, 0][at]).all()
        assert (deal.features["row"][~at] == 0).all()


def test_when_a_batch_comes_does_not_depend_on_the_others() -> None:
    inside = wanted(0.9, 0.5, 0.05)
    together = deals(inside)
    for draw in range(3):
        assert batches(deals(inside[[draw]]), 0) == batches(together, draw)


def test_waiting_computes_less_padding_and_never_for_long() -> None:
    inside = wanted(0.6, 0.5, 0.55)
    assert len(deals(inside, waits=True)) < len(deals(inside))
    most = 0
    dealer = Dealer(wanted(0.9, 0.02), BATCH, Ranks(), waits=True)
    for _ in dealer.deal(passing(Ranks()), Seen.nothing(2)):
        most = max(most, *(hand.num for hand in dealer.hands))
    assert most <= 2 * BATCH


@given(shares=SHARES, after=st.integers(0, 21))
def test_goes_on_behind_any_batch_of_the_pass(shares: list[float], after: int) -> None:
    inside = wanted(*shares)
    rest = [deal for deal in deals(inside) if deal.number >= after]
    found = deals(inside, after=after)
    assert [deal.number for deal in found] == [deal.number for deal in rest]
    for draw in range(len(shares)):
        assert batches(found, draw) == batches(rest, draw)


def test_what_was_given_out_long_ago_is_not_passed_again() -> None:
    passed = (one.rows[0] for one in passing(Ranks()))
    seen = Seen.of(passed, wanted(0.9, 0.8), BATCH, 15)
    assert 12 <= seen.start <= 15


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("after", [0, 7])
def test_ranks_get_their_shares_of_the_same_batches(size: int, after: int) -> None:
    inside = wanted(0.7, 0.3, 0.0)
    alone = deals(inside, after=after)
    shares = [deals(inside, Ranks(index, size), after) for index in range(size)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert all((part.rows == parts[0].rows).all() for part in parts)
        for draw in range(3):
            same = whole.rows[draw][whole.rows[draw] != PADDING]
            dealt_out = parts[0].rows[draw][parts[0].rows[draw] != PADDING]
            assert sorted(same) == sorted(dealt_out)
            for rank, part in enumerate(parts):
                at = part.rows[draw, rank] != PADDING
                assert (part.features["row"][draw][at, 0] == part.rows[draw, rank][at]).all()
