"""Everybody gets its own windows, each once, in whole batches, whoever else is there."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pricon.corpus.build import build_corpus
from pricon.corpus.reader import Corpus, open_corpus
from pricon.corpus.stream import StreamSpec, WindowStream
from pricon.heartbeat import beats
from pricon.storage import open_storage
from pricon.train.dealing import Deal, Dealer
from pricon.train.examples import PADDING
from pricon.train.ranks import Ranks
from tests.corpus.recording import RecordingStorage
from tests.corpus.tables import TableAdapter, make_spec, write_tables

NUM, BATCH, SHARD_WINDOWS, WINDOW_BYTES = 234, 8, 7, 8
BUFFERS = {
    "one shard": 9 * SHARD_WINDOWS,
    "half a batch a load": 12 * SHARD_WINDOWS,
    "batches a load": 21 * SHARD_WINDOWS,
    "everything": 3 * NUM,
}
"""Windows that a buffer has room for, seven shards that are being read included."""
SHARES = (0.9, 0.5, 0.05, 0.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Windows of six people in 36 shards."""
    folder = tmp_path_factory.mktemp("dealing")
    source = write_tables(folder / "source", units=6, sessions=3, session_s=13)
    spec = make_spec(folder / "corpus", source, shard_windows=SHARD_WINDOWS)
    storage = open_storage(str(folder / "corpus"))
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    return open_corpus(storage)


def wanted(*shares: float) -> NDArray[np.bool_]:
    """Which windows draws want that want so much of all."""
    return np.random.default_rng(5).random((len(shares), NUM)) < np.array(shares)[:, None]


def dealer(
    corpus: Corpus,
    inside: NDArray[np.bool_],
    keys: tuple[int, ...] = (1, 2, 3, 4),
    *,
    buffer: str = "batches a load",
    ranks: Ranks | None = None,
    waits: bool = False,
) -> Dealer:
    spec = StreamSpec(modalities=("audio",), key=11, buffer_bytes=BUFFERS[buffer] * WINDOW_BYTES)
    return Dealer(
        stream=WindowStream(corpus, spec, epoch=0),
        window=np.arange(NUM),
        inside=inside,
        keys=keys[: len(inside)],
        batch_size=BATCH,
        ranks=ranks or Ranks(),
        waits=waits,
    )


def batches(found: list[Deal], draw: int) -> list[tuple[int, list[int]]]:
    """Number and rows of each batch of a draw, dealt back together."""
    return [
        (deal.number, rows[rows != PADDING].tolist())
        for deal, rows in ((deal, deal.rows[draw].T.flatten()) for deal in found)
        if (rows != PADDING).any()
    ]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("buffer", BUFFERS)
def test_each_gets_its_own_windows_in_its_order_and_in_whole_batches(
    corpus: Corpus, buffer: str, waits: bool
) -> None:
    _, features = corpus.windows(("audio",))
    inside = wanted(*SHARES)
    dealing = dealer(corpus, inside, buffer=buffer, waits=waits)
    found = list(dealing.deal())
    numbers = [deal.number for deal in found]
    assert numbers == sorted({*numbers})
    for draw, (own, order) in enumerate(zip(inside, dealing.orders(), strict=True)):
        assert sorted(order) == np.flatnonzero(own).tolist()
        got = [rows for _, rows in batches(found, draw)]
        assert [row for rows in got for row in rows] == order.tolist()
        assert all(len(rows) == BATCH for rows in got[:-1])
    for deal in found:
        rows, values = deal.rows[:, 0], deal.features["audio"]
        there = rows != PADDING
        np.testing.assert_array_equal(values[there], features["audio"][rows[there]])
        assert not values[~there].any()


def test_keys_differ_in_batches_and_share_what_is_in_memory(corpus: Corpus) -> None:
    """As two seeds of one fold do: they want the same windows, and read them once."""
    recording = RecordingStorage(inner=corpus.storage)
    seen = Corpus(storage=recording, manifest=corpus.manifest)
    one, other, same = dealer(seen, wanted(1.0, 1.0, 1.0), (1, 2, 1)).orders()
    assert one.tolist() == same.tolist()
    alike = [len({*one[at : at + 8]} & {*other[at : at + 8]}) for at in range(0, NUM, 8)]
    assert max(alike) <= 4
    assert np.mean(alike) < 2, "of eight windows, where some 60 are there at once"
    list(dealer(seen, wanted(1.0, 1.0, 1.0), (1, 2, 1)).deal())
    read = [path for path, _, _ in recording.ranges]
    assert {read.count(path) for path in read} == {len(read) // len(corpus.manifest.shards)}


@pytest.mark.parametrize("buffer", BUFFERS)
def test_when_a_batch_comes_does_not_depend_on_the_others(corpus: Corpus, buffer: str) -> None:
    inside = wanted(*SHARES)
    together = list(dealer(corpus, inside, buffer=buffer).deal())
    for draw in range(len(SHARES)):
        alone = dealer(corpus, inside[[draw]], (draw + 1,), buffer=buffer)
        assert batches(list(alone.deal()), 0) == batches(together, draw)


def test_waiting_computes_less_padding(corpus: Corpus) -> None:
    def num(waits: bool) -> int:
        return len(
            [*dealer(corpus, wanted(0.2, 0.1, 0.15), buffer="one shard", waits=waits).deal()]
        )

    assert num(waits=True) < num(waits=False)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("buffer", BUFFERS)
def test_nobody_keeps_features_of_two_batches(corpus: Corpus, buffer: str, waits: bool) -> None:
    dealing = dealer(corpus, wanted(0.9, 0.02), buffer=buffer, waits=waits)
    hands = dealing._hands_before(0)
    most = 0
    for turn in dealing.stream.turns():
        dealing._take(hands, turn)
        list(dealing._give(hands, turn.number, dealing._rounds(hands, turn.number), 0))
        dealing._keep(hands)
        most = max(most, *(hand.num_kept for hand in hands))
    assert 0 < most < 2 * BATCH


@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("size", [1, 3])
def test_goes_on_behind_any_batch(corpus: Corpus, buffer: str, size: int) -> None:
    inside = wanted(*SHARES[:3])
    ranks = Ranks(size - 1, size)
    whole = list(dealer(corpus, inside, buffer=buffer, ranks=ranks).deal())
    for stop in [0, 1, *range(2, len(whole), 5), len(whole) - 1, len(whole)]:
        after = whole[stop - 1].number + 1 if stop else 0
        found = list(dealer(corpus, inside, buffer=buffer, ranks=ranks).deal(after))
        assert [deal.number for deal in found] == [deal.number for deal in whole[stop:]]
        for deal, expected in zip(found, whole[stop:], strict=True):
            np.testing.assert_array_equal(deal.rows, expected.rows)
            np.testing.assert_array_equal(deal.features["audio"], expected.features["audio"])


def test_what_was_given_out_long_ago_is_not_read_again(corpus: Corpus) -> None:
    recording = RecordingStorage(inner=corpus.storage)
    seen = Corpus(storage=recording, manifest=corpus.manifest)
    inside = wanted(0.9, 0.8)
    number = [deal.number for deal in dealer(corpus, inside, buffer="one shard").deal()][20]
    before = beats()
    list(dealer(seen, inside, buffer="one shard").deal(number))
    assert beats() > before + 10, "passing over may take an hour"
    assert len({path for path, _, _ in recording.ranges}) < len(corpus.manifest.shards) / 2


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("passed", [0, 7])
@pytest.mark.parametrize("buffer", ["one shard", "batches a load"])
def test_ranks_get_their_shares_of_the_same_batches(
    corpus: Corpus, buffer: str, passed: int, size: int
) -> None:
    """Also those that go on with what one has begun."""
    _, features = corpus.windows(("audio",))
    inside = wanted(0.7, 0.3, 0.0)
    alone = list(dealer(corpus, inside, buffer=buffer).deal())[passed:]
    shares = [
        list(dealer(corpus, inside, buffer=buffer, ranks=Ranks(at, size)).deal(alone[0].number))
        for at in range(size)
    ]
    for draw in range(3):
        assert batches(shares[0], draw) == batches(alone, draw)
    for parts in zip(*shares, strict=True):
        assert all((part.rows == parts[0].rows).all() for part in parts)
        for rank, part in enumerate(parts):
            rows, values = part.rows[:, rank], part.features["audio"]
            np.testing.assert_array_equal(values[rows >= 0], features["audio"][rows[rows >= 0]])
        num = (parts[0].rows != PADDING).sum(axis=2)
        assert (num.max(axis=1) - num.min(axis=1) <= 1).all(), "ranks are as even as can be"
