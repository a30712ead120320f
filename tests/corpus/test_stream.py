from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pricon.corpus.build import build_corpus
from pricon.corpus.loader import Features
from pricon.corpus.manifest import Manifest, write_manifest
from pricon.corpus.order import NOBODY, Turn
from pricon.corpus.reader import Corpus, open_corpus
from pricon.corpus.stream import Room, StreamSpec, WindowStream
from pricon.errors import CorpusError
from pricon.storage import open_storage
from tests.benchmarks.reading_corpus import WIDTHS, build
from tests.corpus.recording import RecordingStorage
from tests.corpus.tables import TableAdapter, make_spec, write_tables
from tests.limited import limited

BOTH = ("audio", "physiology")
SHARD_WINDOWS, WINDOW_BYTES = 7, 20
SPEC = StreamSpec(modalities=BOTH, key=11, buffer_bytes=WINDOW_BYTES * SHARD_WINDOWS * 13)
"""Room for six shards besides those that are being read: four that stay, each for itself, and one
that comes."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """234 windows of six people in 36 shards."""
    folder = tmp_path_factory.mktemp("stream")
    source = write_tables(folder / "source", units=6, sessions=3, session_s=13)
    spec = make_spec(folder / "corpus", source, shard_windows=SHARD_WINDOWS)
    storage = open_storage(str(folder / "corpus"))
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    return open_corpus(storage)


def shards_of(turn: Turn) -> list[int]:
    return [stretch.shard for stretch in turn.stretches]


def recorded(corpus: Corpus) -> tuple[RecordingStorage, Corpus]:
    recording = RecordingStorage(inner=corpus.storage)
    return recording, Corpus(storage=recording, manifest=corpus.manifest)


def test_every_window_once_as_it_is_when_read_at_once(corpus: Corpus) -> None:
    _, features = corpus.windows(BOTH)
    seen: list[int] = []
    for windows, found in WindowStream(corpus, SPEC, epoch=0).through():
        seen += windows.tolist()
        for name in BOTH:
            assert found[name].dtype == np.float32
            np.testing.assert_array_equal(found[name], features[name][windows])
    assert sorted(seen) == list(range(234))
    assert seen != sorted(seen)


def test_windows_of_a_turn_come_in_any_order_and_shape(corpus: Corpus) -> None:
    _, features = corpus.windows(BOTH)
    random = np.random.default_rng(0)
    stream = WindowStream(corpus, SPEC, epoch=0)
    for turn in stream.turns():
        there = np.concatenate([stretch.windows for stretch in turn.stretches])
        windows = random.choice(there, (3, 5))
        windows[random.random((3, 5)) < 0.3] = NOBODY
        for name, values in stream.gather(windows).items():
            assert values.shape == (3, 5, 1, features[name].shape[2])
            np.testing.assert_array_equal(
                values[windows >= 0], features[name][windows[windows >= 0]]
            )
            assert not values[windows == NOBODY].any()
    nobody = np.full((2, 4), NOBODY)
    assert {n: v.shape for n, v in stream.gather(nobody).items()} == {
        name: (2, 4, 1, features[name].shape[2]) for name in BOTH
    }


def test_each_shard_is_read_once_and_never_more_than_there_is_room_for(corpus: Corpus) -> None:
    recording, seen = recorded(corpus)
    stream = WindowStream(seen, SPEC, epoch=0)
    assert stream.room == Room(load=8, stay=4)
    for turn in stream.turns():
        for stretch in turn.stretches:
            stream.gather(stretch.windows)
        assert len(stream.loader.reading) <= stream.room.stay + 1
        assert {*shards_of(turn)} <= stream.loader.reading.keys()
    read = [path for path, _, _ in recording.ranges]
    assert sorted({*read}) == sorted(shard.path for shard in corpus.manifest.shards)
    once = len(read) // len({*read})
    assert {read.count(path) for path in read} == {once}


def test_epochs_and_keys_have_their_own_orders_of_shards(corpus: Corpus) -> None:
    other = StreamSpec(modalities=BOTH, key=12, buffer_bytes=SPEC.buffer_bytes)
    orders = {
        tuple(shard for turn in stream.order() for shard in shards_of(turn))
        for stream in (
            WindowStream(corpus, SPEC, epoch=0),
            WindowStream(corpus, SPEC, epoch=0),
            WindowStream(corpus, SPEC, epoch=1),
            WindowStream(corpus, other, epoch=0),
        )
    }
    assert len(orders) == 3


@pytest.mark.parametrize("first", [0, 1, 17, 38, 39])
def test_begins_with_any_turn_and_reads_what_is_there_then(corpus: Corpus, first: int) -> None:
    recording, seen = recorded(corpus)
    stream = WindowStream(seen, SPEC, epoch=1)
    whole = [shards_of(turn) for turn in stream.order()]
    assert len(whole) == 39
    assert recording.ranges == [], "the order can be known without reading"
    assert [shards_of(turn) for turn in stream.turns(first)] == whole[first:]
    left = {corpus.manifest.shards[shard].path for some in whole[first:] for shard in some}
    assert {path for path, _, _ in recording.ranges} <= left


def test_what_is_not_there_is_read_once_more(corpus: Corpus) -> None:
    _, features = corpus.windows(BOTH)
    stream = WindowStream(corpus, SPEC, epoch=0)
    list(stream.turns())
    windows = np.array([200, 3, 100, 4])
    for name, values in stream.gather(windows).items():
        np.testing.assert_array_equal(values, features[name][windows])
    assert not stream.loader.reading


def test_what_is_kept_is_made_of_windows_and_features(corpus: Corpus) -> None:
    def prepare(windows: NDArray[np.int64], features: Features) -> Features:
        assert {len(windows)} == {len(values) for values in features.values()}
        return {"sum": features["audio"].sum(axis=2) + windows[:, None]}

    _, features = corpus.windows(BOTH)
    expected = features["audio"].sum(axis=2) + np.arange(234)[:, None]
    stream = WindowStream(corpus, SPEC, epoch=0, prepare=prepare)
    for windows, found in stream.through():
        np.testing.assert_allclose(found["sum"], expected[windows], rtol=1e-6)


def test_some_people_and_one_stimulus(corpus: Corpus) -> None:
    spec = StreamSpec(
        modalities=("physiology",),
        key=1,
        buffer_bytes=SPEC.buffer_bytes,
        stimuli=("maze",),
        participants=("P1", "P4"),
    )
    recording, seen = recorded(corpus)
    stream = WindowStream(seen, spec, epoch=0)
    found = list(stream.through())
    index = corpus.index()
    wanted = np.isin(index.participant, spec.participants or ()) & (index.stimulus == "maze")
    windows = np.concatenate([windows for windows, _ in found])
    assert sorted(windows) == np.flatnonzero(wanted).tolist()
    of_others = [s.path for s in corpus.manifest.shards if not {"P1", "P4"} & {*s.participants}]
    assert {path for path, _, _ in recording.ranges}.isdisjoint(of_others)
    (gathered,) = stream.gather(windows).values()
    assert gathered.shape == (len(windows), 1, 3)  # as of `maze` alone
    np.testing.assert_array_equal(
        gathered, np.concatenate([features["physiology"] for _, features in found])
    )


def test_refusals(corpus: Corpus) -> None:
    def spec(**changes: object) -> StreamSpec:
        given = {"modalities": BOTH, "key": 1, "buffer_bytes": 20_000}
        return StreamSpec(**{**given, **changes})  # type: ignore[arg-type]

    with pytest.raises(CorpusError, match=r"buffer of 900 bytes.*\n  expected at least 1,260") as e:
        WindowStream(corpus, spec(buffer_bytes=900), epoch=0)
    assert "corpus.shard_windows" in str(e.value.hint)
    least = WindowStream(corpus, spec(buffer_bytes=1260), epoch=0)
    assert least.room == Room(load=7, stay=1)
    with pytest.raises(CorpusError, match="no modality `face`"):
        WindowStream(corpus, spec(modalities=("face",)), epoch=0)
    with pytest.raises(CorpusError, match="no windows to stream from"):
        WindowStream(corpus, spec(participants=("P9",)), epoch=0)


@pytest.mark.parametrize("damage", ["short", "flipped"])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: str) -> None:
    source = write_tables(tmp_path / "source", units=3, sessions=2)
    storage = open_storage(str(tmp_path / "corpus"))
    spec = make_spec(storage.uri, source, shard_windows=SHARD_WINDOWS)
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    corpus = open_corpus(storage)
    shard = corpus.manifest.shards[4]
    bad = bytearray(storage.read(shard.path))
    if damage == "short":
        del bad[-200:]
    bad[shard.columns["audio"].start + 9] ^= 1
    storage.write(shard.path, bytes(bad))
    with pytest.raises(CorpusError, match=f"shard is damaged: .*{shard.path}"):
        list(WindowStream(corpus, SPEC, epoch=0).through())


BUFFER_BYTES = 40_000_000
LIMITED = """
import numpy as np
from pricon.corpus.order import given_out, windows_of
from pricon.corpus.reader import open_corpus
from pricon.corpus.stream import StreamSpec, WindowStream
from pricon.storage import open_storage

folder, how, buffer_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
corpus = open_corpus(open_storage(folder))
names = tuple(entry.name for entry in corpus.manifest.modalities)
spec = StreamSpec(modalities=names, key=1, buffer_bytes=buffer_bytes)
before = allow(buffer_bytes, threads=3)
num = 0
if how == "stream":
    stream = WindowStream(corpus, spec, epoch=0)
    for turn in stream.turns():
        there = [windows_of(load) for load in turn.loads]
        given = np.concatenate(there)[given_out(there, 1)]
        for start in range(0, len(given), 256):
            num += len(stream.gather(given[start : start + 256])["eda"])
else:
    num = len(corpus.windows(names)[0])
print(num, status("VmHWM") - before)
"""


def large(folder: Path) -> Manifest:
    """A thousand shards of 0.4 MB that are one file under a thousand names."""
    storage = open_storage(str(folder))
    build(storage, folder / "source", num_participants=1, num_windows=360)
    content = open_corpus(storage).manifest
    (session,), (shard,) = content.sessions, content.shards
    numbers = [f"{number:04}" for number in range(1000)]
    for number in numbers:
        (folder / f"shards/{number}").hardlink_to(folder / shard.path)
    many = Manifest(
        **content.model_dump(exclude={"sessions", "shards"}),
        sessions=tuple(session.model_copy(update={"id": number}) for number in numbers),
        shards=tuple(shard.model_copy(update={"path": f"shards/{number}"}) for number in numbers),
    )
    storage.write("manifest.json", write_manifest(many))
    return many


@pytest.mark.multiprocess
def test_a_corpus_ten_times_the_allowed_memory(tmp_path: Path) -> None:
    """Under a limit of the operating system, which reading all of it at once does not survive."""
    many = large(tmp_path)
    assert 360 * 1000 * sum(WIDTHS.values()) * 4 >= 10 * BUFFER_BYTES

    streamed = limited(LIMITED, tmp_path, "stream", BUFFER_BYTES)
    assert streamed.returncode == 0, streamed.stderr
    num, peak_bytes = map(int, streamed.stdout.split())
    assert num == many.num_windows
    assert peak_bytes < 1.25 * BUFFER_BYTES  # columns, and code that is loaded on the way
    at_once = limited(LIMITED, tmp_path, "at once", BUFFER_BYTES)
    assert at_once.returncode != 0
    assert "MemoryError" in at_once.stderr
