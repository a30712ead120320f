import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pricon.corpus import build
from pricon.corpus.build import build_corpus
from pricon.corpus.manifest import Manifest
from pricon.corpus.reader import open_corpus
from pricon.corpus.session import Channel, Session, Trace, Unit
from pricon.corpus.verify import verify
from pricon.errors import CorpusError
from pricon.spec.corpus import WindowSpec
from pricon.storage import Storage, open_storage
from tests.corpus.tables import FEATURES, TableAdapter, make_spec, write_tables


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small builds stay in this process; not here."""
    monkeypatch.setattr(build, "SMALL_BYTES", 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tables(tmp_path / "source")


def run(source: Path, storage: Storage, **settings: object) -> Manifest:
    spec = make_spec(storage.uri, source, **settings)  # type: ignore[arg-type]
    return build_corpus(TableAdapter(folder=source), spec, storage, generated=False)


def run_folder(source: Path, folder: Path, **settings: object) -> Manifest:
    return run(source, open_storage(str(folder)), **settings)


@pytest.mark.usefixtures("processes")
def test_manifest_describes_the_recordings(source: Path, storage: Storage) -> None:
    manifest = run(source, storage)
    assert manifest.participants == ("P0", "P1", "P2")
    assert manifest.stimuli == ("maze", "race")
    assert manifest.num_windows == 3 * 2 * 10
    assert [session.id for session in manifest.sessions[:3]] == ["P0_0", "P0_1", "P1_0"]
    assert [shard.num_windows for shard in manifest.shards] == [7, 7, 6] * 3
    physiology = manifest.modalities[1]
    assert (physiology.name, physiology.features) == ("physiology", FEATURES[2:])
    assert physiology.present == {"maze": (0, 1, 2), "race": (0, 1)}
    assert [entry.name for entry in manifest.sources] == ["P0.csv", "P1.csv", "P2.csv"]
    data = (source / "P0.csv").read_bytes()
    assert manifest.sources[0].sha256 == hashlib.sha256(data).hexdigest()
    assert open_corpus(storage).manifest == manifest
    assert verify(storage).orphans == ()


def test_digest_knows_neither_place_nor_processes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run_folder(source, tmp_path / "one")
    moved = tmp_path / "moved"
    shutil.copytree(source, moved)
    monkeypatch.setattr(build, "SMALL_BYTES", 0)
    assert run_folder(moved, tmp_path / "two").digest == one.digest


def test_progress_counts_units(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    storage = open_storage(str(tmp_path / "corpus"))
    build_corpus(
        TableAdapter(folder=source),
        make_spec(storage.uri, source),
        storage,
        generated=True,
        progress=lambda finished, total: seen.append((finished, total)),
    )
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_one_recording_under_two_ids_has_one_hash(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "source", units=1, sessions=1)
    text = (source / "P0.csv").read_text()
    (source / "P1.csv").write_text(text.replace("P0_", "other_"))
    one, other = run_folder(source, tmp_path / "corpus").sessions
    assert (one.id, other.id) == ("P0_0", "other_0")
    assert one.sha256 == other.sha256


def test_building_again_changes_nothing(source: Path, storage: Storage) -> None:
    manifest = run(source, storage)
    before = {path: storage.read(path) for path in storage.list()}
    storage.write("shards/leftover-0.parquet", b"of a build that was given up")
    assert run(source, storage) == manifest
    assert {path: storage.read(path) for path in storage.list()} == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"windows": WindowSpec(window_s=2, hop_s=1)}, "corpus.windows"),
        ({"modalities": {"audio": ("audio_1",)}}, "corpus.modalities"),
    ],
)
def test_a_corpus_is_immutable(
    source: Path, tmp_path: Path, change: dict[str, object], key: str
) -> None:
    manifest = run_folder(source, tmp_path / "corpus")
    with pytest.raises(CorpusError, match=f"not what the job describes\n  `{key}`") as caught:
        run_folder(source, tmp_path / "corpus", **change)
    assert "another `corpus.uri`" in str(caught.value.hint)
    assert open_corpus(open_storage(str(tmp_path / "corpus"))).manifest == manifest


def test_other_recordings_are_another_corpus(source: Path, tmp_path: Path) -> None:
    run_folder(source, tmp_path / "corpus")
    write_tables(source, seed=1)
    with pytest.raises(CorpusError, match=r"recording P0.csv: other bytes"):
        run_folder(source, tmp_path / "corpus")


@pytest.mark.parametrize("broken", ["P0", "P2"])
def test_wrong_recordings_leave_nothing(source: Path, storage: Storage, broken: str) -> None:
    file = source / f"{broken}.csv"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(CorpusError, match=f"{broken}.csv is cut"):
        run(source, storage)
    assert storage.list() == []


@pytest.mark.usefixtures("processes")
def test_wrong_recordings_leave_no_folder(source: Path, tmp_path: Path) -> None:
    file = source / "P1.csv"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(CorpusError, match=r"P1.csv is cut"):
        run_folder(source, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_recordings_without_a_window(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the corpus would be empty"):
        run_folder(source, tmp_path / "corpus", windows=WindowSpec(window_s=99, hop_s=1))
    assert not (tmp_path / "corpus").exists()


def test_no_recordings(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no recordings"):
        run_folder(write_tables(tmp_path / "empty", units=0), tmp_path / "corpus")


def test_two_sessions_of_one_name(source: Path, tmp_path: Path) -> None:
    file = source / "P1.csv"
    file.write_text(file.read_text().replace("P1_0", "P0_0"))
    with pytest.raises(CorpusError, match="two sessions are called `P0_0`"):
        run_folder(source, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_wrong_pattern_is_found_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="matches none of the 5 features"):
        run_folder(source, tmp_path / "corpus", modalities={"audio": ("adio_*",)})
    assert not (tmp_path / "corpus").exists()


_SCRIPT = """
import sys
from pathlib import Path
from pricon.corpus import build
from pricon.storage import open_storage
from tests.corpus.tables import TableAdapter, make_spec

build.SMALL_BYTES = 0
if __name__ == "__main__":
    source, corpus = Path(sys.argv[1]), sys.argv[2]
    adapter = TableAdapter(folder=source, pause_s=float(sys.argv[3]))
    build.build_corpus(adapter, make_spec(corpus, source), open_storage(corpus), generated=False)
"""


def start_build(
    source: Path, corpus: Path, folder: Path, pause_s: float
) -> subprocess.Popen[bytes]:
    script = folder / "build_script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, str(script), str(source), str(corpus), str(pause_s)],
        env={**os.environ, "PYTHONPATH": root},
    )


def test_killed_build_goes_on(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "source", units=6)
    corpus = tmp_path / "corpus"
    with start_build(source, corpus, tmp_path, pause_s=0.4) as process:
        journals = wait_for_journals(corpus, 2)
        process.send_signal(signal.SIGKILL)
    time.sleep(1)
    assert not (corpus / "manifest.json").exists()
    storage = open_storage(str(corpus))
    with pytest.raises(CorpusError, match="there is no corpus"):
        open_corpus(storage)
    finished = {file.name.split("-")[0] for file in journals}
    assert len(finished) < 6
    shards = {
        file: file.stat().st_ino
        for file in (corpus / "shards").glob("P*")
        if file.name.split("-")[0] in finished
    }
    manifest = run(source, storage)
    assert all(file.stat().st_ino == inode for file, inode in shards.items())
    assert manifest.digest == run_folder(source, tmp_path / "uninterrupted").digest
    assert verify(storage).orphans == ()
    assert not (corpus / "build").exists()


def wait_for_journals(corpus: Path, count: int) -> list[Path]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journals = list((corpus / "build").glob("P*.json"))
        if len(journals) >= count:
            return journals
        time.sleep(0.02)
    raise TimeoutError("the build wrote no journal")


@pytest.mark.usefixtures("processes")
def test_restart_takes_nothing_that_changed(tmp_path: Path) -> None:
    """Journals of other settings or other bytes are not believed."""
    source = write_tables(tmp_path / "source", units=4)
    corpus = tmp_path / "corpus"
    with start_build(source, corpus, tmp_path, pause_s=0.4) as process:
        wait_for_journals(corpus, 1)
        process.send_signal(signal.SIGKILL)
    write_tables(source, units=4, seed=5)
    manifest = run_folder(source, corpus, shard_windows=9)
    assert manifest.digest == run_folder(source, tmp_path / "fresh", shard_windows=9).digest
    assert verify(open_storage(str(corpus))).orphans == ()


@pytest.mark.usefixtures("processes")
def test_two_equal_builds_race(source: Path, storage: Storage) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: run(source, storage), range(2))
    assert one == other
    assert verify(storage).orphans == ()


@pytest.mark.usefixtures("processes")
def test_two_different_builds_race(source: Path, storage: Storage) -> None:
    """One wins, and nothing of the other one is left."""

    def attempt(window_s: int) -> Manifest | CorpusError:
        try:
            return run(source, storage, windows=WindowSpec(window_s=window_s, hop_s=1))
        except CorpusError as err:
            return err

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, (1, 2)))
    (built,) = [result for result in results if isinstance(result, Manifest)]
    (refused,) = [result for result in results if isinstance(result, CorpusError)]
    assert refused.exit_code == 2
    assert open_corpus(storage).manifest == built
    assert verify(storage).orphans == ()


@dataclass(kw_only=True)
class LongAdapter(TableAdapter):
    """Many sessions in one unit, made up as they are asked for."""

    num_sessions: int = 60
    ticks: int = 20_000

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        generator = np.random.default_rng(0)
        for number in range(self.num_sessions):
            values = generator.standard_normal((self.ticks, len(FEATURES)), dtype=np.float32)
            times_s = np.arange(self.ticks) / 2
            yield Session(
                id=str(number),
                participant="P0",
                stimulus="maze",
                channels=(Channel(times_s=times_s, features=FEATURES, values=values),),
                traces={"arousal": Trace(times_s=times_s, values=times_s)},
            )


def test_a_corpus_larger_than_the_buffer_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of ten times the sessions need no more memory, neither in numpy nor in Arrow."""
    monkeypatch.setattr(build, "MOST_PROCESSES", 1)
    few = peak_bytes(tmp_path / "few", num_sessions=6)
    many = peak_bytes(tmp_path / "many", num_sessions=60)
    added_bytes = 54 * 10_000 * (4 * len(FEATURES) + 5 * 8)
    assert many[0] - few[0] < 0.1 * added_bytes
    assert many[1] - few[1] < 0.1 * added_bytes


def peak_bytes(folder: Path, num_sessions: int) -> tuple[int, int]:
    source = write_tables(folder / "source", units=1)
    storage = open_storage(str(folder / "corpus"))
    spec = make_spec(storage.uri, source, shard_windows=4096)
    adapter = LongAdapter(folder=source, num_sessions=num_sessions)
    tracemalloc.start()
    try:
        manifest = build_corpus(adapter, spec, storage, generated=False)
        _, traced = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert manifest.num_windows == num_sessions * 10_000
    assert {shard.num_windows for shard in manifest.shards[:-1]} == {4096}
    return traced, pa.default_memory_pool().max_memory()


@pytest.mark.usefixtures("processes")
def test_a_killed_process_of_a_build_is_named(source: Path, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "corpus"))
    adapter = DyingAdapter(folder=source)
    with pytest.raises(Exception, match="a process of the build was killed") as caught:
        build_corpus(adapter, make_spec(storage.uri, source), storage, generated=False)
    assert getattr(caught.value, "exit_code", None) == 1


class DyingAdapter(TableAdapter):
    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sessions(unit, with_features=with_features)
