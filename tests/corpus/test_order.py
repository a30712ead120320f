from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricon.corpus.order import NOBODY, Step, Stretch, dealt, shuffled_shards, steps

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=12)


def stretches(sizes: list[int], every: int = 1) -> Iterator[Stretch]:
    """Shards of `sizes` windows, of which one in `every` is wanted."""
    first = 0
    for shard, size in enumerate(sizes):
        yield Stretch(shard=shard, first=first, rows=np.arange(0, size, every))
        first += size


def epoch_of(sizes: list[int], *, epoch: int = 0, key: int = 5, spread: int = 20) -> list[Step]:
    return list(steps(stretches(sizes), key=key, epoch=epoch, spread=spread, batch_size=4))


def windows(found: list[Step]) -> list[tuple[int, int]]:
    return [pair for step in found for pair in zip(step.shards, step.rows, strict=True)]


@given(
    sizes=SIZES, spread=st.integers(1, 60), batch_size=st.integers(1, 9), every=st.integers(1, 3)
)
def test_every_window_once_and_never_many_waiting(
    sizes: list[int], spread: int, batch_size: int, every: int
) -> None:
    found = list(
        steps(stretches(sizes, every), key=1, epoch=0, spread=spread, batch_size=batch_size)
    )
    expected = [(one.shard, row) for one in stretches(sizes, every) for row in range(len(one.rows))]
    assert sorted(windows(found)) == expected
    assert [len(step.shards) % batch_size for step in found[:-1]] == [0] * (len(found) - 1)
    come = given_out = 0
    last_given_out: dict[int, int] = {}
    for number, step in enumerate(found):
        come += len(step.arrived.rows)
        given_out += len(step.shards)
        last_given_out |= dict.fromkeys(step.shards.tolist(), number)
        assert come - given_out <= max(spread, *sizes) + batch_size
    starts = np.cumsum([0, *(len(step.arrived.rows) for step in found)])
    for shard, number in last_given_out.items():
        held = starts[number] - starts[shard]
        assert held <= max(spread, *sizes) + max(sizes) + batch_size


def test_a_function_of_key_and_epoch() -> None:
    sizes = [30] * 8
    assert windows(epoch_of(sizes)) == windows(epoch_of(sizes))
    assert windows(epoch_of(sizes)) != windows(epoch_of(sizes, epoch=1))
    assert windows(epoch_of(sizes)) != windows(epoch_of(sizes, key=6))


def test_windows_are_mixed_over_the_spread() -> None:
    """Twenty windows in a row come from as many of the ten shards in the buffer as chance has."""
    found = windows(epoch_of([50] * 40, spread=500))
    shards = np.array([shard for shard, _ in found])[800:1200]
    assert 8 <= np.mean([len({*shards[start : start + 20]}) for start in range(0, 400, 20)]) <= 11
    rows = np.array([row for _, row in found])
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.05


def test_shards_are_shuffled_for_each_epoch() -> None:
    orders = [shuffled_shards(50, 3, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_ranks_share_each_batch_without_a_rest(world_size: int) -> None:
    for deal, start in zip(dealt(11, 4, world_size), range(0, 11, 4), strict=True):
        assert len(deal) == world_size
        assert sorted(deal[deal != NOBODY]) == list(range(start, min(start + 4, 11)))
        assert ((deal == NOBODY).sum(axis=1) <= 1).all(), "ranks are as even as can be"
