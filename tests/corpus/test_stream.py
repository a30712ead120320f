import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.build import build_corpus
from pricon.corpus.manifest import Manifest, write_manifest
from pricon.corpus.order import NOBODY
from pricon.corpus.reader import Corpus, open_corpus
from pricon.corpus.stream import Batch, StreamSpec, WindowStream
from pricon.errors import CorpusError
from pricon.storage import open_storage
from tests.benchmarks.reading_corpus import WIDTHS, build
from tests.corpus.recording import RecordingStorage
from tests.corpus.tables import TableAdapter, make_spec, write_tables

BOTH = ("audio", "physiology")
SHARD_WINDOWS, WINDOW_BYTES = 7, 20
SPEC = StreamSpec(
    modalities=BOTH,
    key=11,
    batch_size=10,
    buffer_bytes=WINDOW_BYTES * SHARD_WINDOWS * 13,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """234 windows of six people in 36 shards."""
    folder = tmp_path_factory.mktemp("stream")
    source = write_tables(folder / "source", units=6, sessions=3, session_s=13)
    spec = make_spec(folder / "corpus", source, shard_windows=SHARD_WINDOWS)
    storage = open_storage(str(folder / "corpus"))
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    return open_corpus(storage)


def of(batches: list[Batch], rank: int = 0) -> list[int]:
    own = [batch.windows[rank] for batch in batches]
    return [window for windows in own for window in windows[windows != NOBODY].tolist()]


def test_every_window_once_as_it_is_when_read_at_once(corpus: Corpus) -> None:
    batches = list(WindowStream(corpus, SPEC, epoch=0))
    _, features = corpus.windows(BOTH)
    assert [batch.number for batch in batches] == list(range(24))
    assert [batch.windows.shape for batch in batches] == [(1, 10)] * 23 + [(1, 4)]
    assert sorted(of(batches)) == list(range(234))
    assert of(batches) != sorted(of(batches))
    for batch in batches:
        for name in BOTH:
            assert batch.features[name].dtype == np.float32
            np.testing.assert_array_equal(batch.features[name], features[name][batch.windows[0]])


def test_epochs_and_keys_have_their_own_orders(corpus: Corpus) -> None:
    other = StreamSpec(modalities=BOTH, key=12, batch_size=10, buffer_bytes=SPEC.buffer_bytes)
    orders = {
        tuple(of(list(stream)))
        for stream in (
            WindowStream(corpus, SPEC, epoch=0),
            WindowStream(corpus, SPEC, epoch=0),
            WindowStream(corpus, SPEC, epoch=1),
            WindowStream(corpus, other, epoch=0),
        )
    }
    assert len(orders) == 3


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_the_order_does_not_depend_on_the_number_of_ranks(corpus: Corpus, world_size: int) -> None:
    alone = list(WindowStream(corpus, SPEC, epoch=2))
    ranks = [
        list(WindowStream(corpus, SPEC, epoch=2, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    for batch, *shares in zip(alone, *ranks, strict=True):
        dealt = shares[0].windows.T.flatten()
        np.testing.assert_array_equal(dealt[dealt != NOBODY], batch.windows[0])
        for rank, share in enumerate(shares):
            np.testing.assert_array_equal(share.windows, shares[0].windows)
            own = share.windows[rank][share.windows[rank] != NOBODY]
            for name in BOTH:
                whole = batch.features[name][np.isin(batch.windows[0], own)]
                np.testing.assert_array_equal(share.features[name], whole)


@pytest.mark.parametrize("taken", [0, 1, 7, 12, 23, 24])
def test_goes_on_where_it_was_with_any_number_of_ranks(corpus: Corpus, taken: int) -> None:
    whole = list(WindowStream(corpus, SPEC, epoch=1))
    stream = WindowStream(corpus, SPEC, epoch=1)
    before = list(islice(stream, taken))
    assert stream.num_batches == taken
    after = list(WindowStream(corpus, SPEC, epoch=1, after=taken))
    assert of(before + after) == of(whole)
    assert [batch.number for batch in after] == list(range(taken, 24))
    second = list(WindowStream(corpus, SPEC, epoch=1, rank=1, world_size=2, after=taken))
    assert of(second, rank=1) == [w for batch in whole[taken:] for w in batch.windows[0][1::2]]


def test_what_was_passed_over_is_not_read_again(corpus: Corpus) -> None:
    recording = RecordingStorage(inner=corpus.storage)
    seen = Corpus(storage=recording, manifest=corpus.manifest)
    left = of(list(WindowStream(seen, SPEC, epoch=0, after=20)))
    first = np.cumsum([0, *(shard.num_windows for shard in corpus.manifest.shards)])
    holding = {corpus.manifest.shards[np.searchsorted(first, w, "right") - 1].path for w in left}
    assert {path for path, _, _ in recording.ranges} == holding
    assert len(holding) < len(corpus.manifest.shards)


def test_the_order_can_be_known_without_reading(corpus: Corpus) -> None:
    recording = RecordingStorage(inner=corpus.storage)
    stream = WindowStream(Corpus(storage=recording, manifest=corpus.manifest), SPEC, epoch=1)
    known = [windows.tolist() for windows in stream.windows()]
    assert known == [batch.windows[0].tolist() for batch in WindowStream(corpus, SPEC, epoch=1)]
    assert recording.ranges == []


def test_some_people_and_one_stimulus(corpus: Corpus) -> None:
    spec = StreamSpec(
        modalities=("physiology",),
        key=1,
        batch_size=8,
        buffer_bytes=SPEC.buffer_bytes,
        stimuli=("maze",),
        participants=("P1", "P4"),
    )
    recording = RecordingStorage(inner=corpus.storage)
    seen = Corpus(storage=recording, manifest=corpus.manifest)
    batches = list(WindowStream(seen, spec, epoch=0))
    index = corpus.index()
    wanted = np.isin(index.participant, spec.participants or ()) & (index.stimulus == "maze")
    assert sorted(of(batches)) == np.flatnonzero(wanted).tolist()
    assert batches[0].features["physiology"].shape == (8, 1, 3)  # as of `maze` alone
    of_others = [s.path for s in corpus.manifest.shards if not {"P1", "P4"} & {*s.participants}]
    assert {path for path, _, _ in recording.ranges}.isdisjoint(of_others)


def test_refusals(corpus: Corpus) -> None:
    def spec(**changes: object) -> StreamSpec:
        given = {"modalities": BOTH, "key": 1, "batch_size": 8, "buffer_bytes": 20_000}
        return StreamSpec(**{**given, **changes})  # type: ignore[arg-type]

    with pytest.raises(CorpusError, match=r"buffer of 900 bytes.*\n  expected at least 1,260") as e:
        WindowStream(corpus, spec(buffer_bytes=900), epoch=0)
    assert "corpus.shard_windows" in str(e.value.hint)
    with pytest.raises(CorpusError, match="no modality `face`"):
        WindowStream(corpus, spec(modalities=("face",)), epoch=0)
    with pytest.raises(CorpusError, match="no windows to stream from"):
        WindowStream(corpus, spec(participants=("P9",)), epoch=0)


def test_a_damaged_shard_is_named_and_a_repaired_one_goes_on(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "source", units=3, sessions=2)
    storage = open_storage(str(tmp_path / "corpus"))
    spec = make_spec(storage.uri, source, shard_windows=SHARD_WINDOWS)
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    corpus = open_corpus(storage)
    whole = of(list(WindowStream(corpus, SPEC, epoch=0)))
    shard = corpus.manifest.shards[4]
    good = storage.read(shard.path)
    storage.write(shard.path, good[:-200])
    stream = WindowStream(corpus, SPEC, epoch=0)
    taken: list[Batch] = []
    bad = bytearray(good)
    bad[shard.columns["audio"].start + 9] ^= 1
    storage.write(shard.path, bytes(bad))
    with pytest.raises(CorpusError, match=f"shard is damaged: .*{shard.path}"):
        taken.extend(stream)
    storage.write(shard.path, good)
    rest = list(WindowStream(corpus, SPEC, epoch=0, after=stream.num_batches))
    assert of(taken + rest) == whole


BUFFER_BYTES = 40_000_000
LIMITED = """
import resource, sys
from pathlib import Path
from pricon.corpus.order import NOBODY
from pricon.corpus.reader import open_corpus
from pricon.corpus.stream import StreamSpec, WindowStream
from pricon.storage import open_storage

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

folder, how, buffer_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
corpus = open_corpus(open_storage(folder))
names = tuple(entry.name for entry in corpus.manifest.modalities)
spec = StreamSpec(modalities=names, key=1, batch_size=256, buffer_bytes=buffer_bytes)
threads = 3 * 8_400_000  # stacks, which are reserved and hardly used
limit = status("VmData") + threads + buffer_bytes
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
before = status("VmRSS")
num = 0
if how == "stream":
    for batch in WindowStream(corpus, spec, epoch=0):
        num += batch.windows.size
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

    def run(how: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", LIMITED, str(tmp_path), how, str(BUFFER_BYTES)],
            env={"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    streamed = run("stream")
    assert streamed.returncode == 0, streamed.stderr
    num, peak_bytes = map(int, streamed.stdout.split())
    assert num == many.num_windows
    assert peak_bytes < 1.25 * BUFFER_BYTES  # columns, and code that is loaded on the way
    at_once = run("at once")
    assert at_once.returncode != 0
    assert "MemoryError" in at_once.stderr
