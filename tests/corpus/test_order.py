import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricon.corpus.order import (
    Stretch,
    Turn,
    given_out,
    loads_of,
    shuffled_shards,
    turns,
    windows_of,
)

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=12)


def stretches(sizes: list[int], every: int = 1) -> list[Stretch]:
    """Shards of `sizes` windows, of which one in `every` is wanted."""
    firsts = np.cumsum([0, *sizes]).tolist()
    return [
        Stretch(shard=shard, first=first, rows=np.arange(0, size, every))
        for shard, (size, first) in enumerate(zip(sizes, firsts, strict=False))
    ]


def epoch_of(sizes: list[int], *, load: int = 40, stay: int = 3, every: int = 1) -> list[Turn]:
    return list(turns(loads_of(stretches(sizes, every), load), stay))


def order(found: list[Turn], key: int = 5, every: int = 1) -> list[int]:
    """Windows that a reader of one in `every` is given, in order."""
    given_windows: list[int] = []
    for turn in found:
        own = [windows[windows % every == 0] for windows in map(windows_of, turn.loads)]
        given_windows += np.concatenate(own)[given_out(own, key)].tolist()
    return given_windows


@given(sizes=SIZES, load=st.integers(1, 60), every=st.integers(1, 3))
def test_loads_are_whole_shards_in_their_order(sizes: list[int], load: int, every: int) -> None:
    found = list(loads_of(stretches(sizes, every), load))
    assert [one.shard for some in found for one in some] == list(range(len(sizes)))
    num = [len(windows_of(some)) for some in found]
    assert all(len(some) == 1 or n <= load for some, n in zip(found, num, strict=True))
    fuller = [n + len(some[0].rows) for n, some in zip(num, found[1:], strict=False)]
    assert all(n > load for n in fuller), "as many shards as go"


@given(sizes=SIZES, load=st.integers(1, 60), stay=st.integers(1, 4))
def test_a_load_stays_for_its_turns_and_then_goes(sizes: list[int], load: int, stay: int) -> None:
    loads = list(loads_of(stretches(sizes), load))
    found = epoch_of(sizes, load=load, stay=stay)
    assert [turn.number for turn in found] == list(range(len(loads) + stay - 1))
    for turn in found:
        first = max(0, turn.number - stay + 1)
        there = [one.shard for some in loads[first : turn.number + 1] for one in some]
        assert sorted(one.shard for one in turn.stretches) == there
        assert len(turn.loads) == stay
    newest = [[one.shard for one in turn.loads[0]] for turn in found]
    assert newest == [[one.shard for one in some] for some in loads] + [[]] * (stay - 1)


@given(
    sizes=SIZES,
    load=st.integers(1, 60),
    stay=st.integers(1, 4),
    key=st.integers(-(2**63), 2**63 - 1),
    every=st.integers(1, 3),
)
def test_each_reader_has_each_of_its_windows_once(
    sizes: list[int], load: int, stay: int, key: int, every: int
) -> None:
    found = epoch_of(sizes, load=load, stay=stay)
    assert sorted(order(found, key, every)) == list(range(0, sum(sizes), every))


def test_a_function_of_the_key_and_the_window_alone() -> None:
    found = epoch_of([30] * 8)
    whole = order(found)
    assert whole == order(found)
    assert order(found, every=3) == [window for window in whole if window % 3 == 0]


def test_batches_of_two_keys_have_no_more_in_common_than_chance_has() -> None:
    """A window has fourteen batches of fifty to come into: in seven turns, two each."""
    found = epoch_of([50] * 40, load=100, stay=4)
    one, other = (np.argsort(order(found, key)) // 50 for key in (1, 2))
    for batch in range(6, 34):
        num_common = np.bincount(other[one == batch])
        assert np.count_nonzero(num_common) >= 9
        assert num_common.max() <= 15


def test_windows_are_mixed_over_all_loads_that_are_there() -> None:
    """Twenty windows in a row come from as many of the eight shards as chance has."""
    found = order(epoch_of([50] * 40, load=100, stay=4))
    shards = np.array(found)[800:1200] // 50
    assert 6.5 <= np.mean([len({*shards[start : start + 20]}) for start in range(0, 400, 20)]) <= 8
    rows = np.array(found) % 50
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.05


def test_shards_are_shuffled_for_each_epoch() -> None:
    orders = [shuffled_shards(50, 3, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
