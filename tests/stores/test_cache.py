import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.build import build_corpus
from pricon.corpus.reader import open_corpus
from pricon.spec.resources import CacheSpec, StorageSpec
from pricon.storage import open_storage
from pricon.stores.cache import PartCache, _pass_over, open_cache
from tests.corpus.recording import RecordingStorage
from tests.corpus.tables import TableAdapter, make_spec, write_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path) -> PartCache:
    _pass_over.cache_clear()
    return PartCache(folder=tmp_path / "cache", max_bytes=1000)


def part(text: str, size: int = 100) -> tuple[str, bytes]:
    data = text.encode() * size
    return hashlib.sha256(data).hexdigest(), data


def size_of(cache: PartCache) -> int:
    return sum(file.stat().st_size for file in cache.folder.rglob("*") if file.is_file())


def test_finds_what_was_kept(cache: PartCache) -> None:
    name, data = part("a")
    assert cache.find(name) is None
    cache.keep({name: data})
    assert cache.find(name) == data
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_the_limit_holds_and_the_least_recently_used_goes_first(cache: PartCache) -> None:
    parts = dict(part(letter, 300) for letter in "abc")
    first, second, third = parts
    for age, (name, data) in enumerate(parts.items()):
        cache.keep({name: data})
        os.utime(cache.folder / name[:2] / name, (age, age))
    assert cache.find(first) is not None  # used just now
    fourth, data = part("d", 500)
    cache.keep({fourth: data})
    assert [cache.find(name) is None for name in (first, second, third, fourth)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert size_of(cache) <= 1000


def test_what_is_larger_than_the_limit_is_not_kept(cache: PartCache) -> None:
    small, large = part("s", 900), part("l", 1001)
    cache.keep(dict([small]))
    cache.keep(dict([large]))
    assert cache.find(large[0]) is None
    assert cache.find(small[0]) is not None


@pytest.mark.parametrize("damage", [b"", b"aaa", b"b" * 100])
def test_a_damaged_part_is_removed(
    cache: PartCache, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    name, data = part("a")
    cache.keep({name: data})
    file = cache.folder / name[:2] / name
    file.write_bytes(damage)
    assert cache.find(name) is None
    assert not file.exists()
    assert "a damaged part is removed" in caplog.text


def test_a_folder_that_cannot_be_used_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _pass_over.cache_clear()
    (tmp_path / "file").write_text("no folder")
    cache = PartCache(folder=tmp_path / "file", max_bytes=1000)
    name, data = part("a")
    for _ in range(3):
        with cache.turn("x"):
            cache.keep({name: data})
            assert cache.find(name) is None
    assert [record.levelno for record in caplog.records].count(logging.WARNING) <= 3
    assert "reading without a cache" in caplog.text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_somebody_else_s_folder_is_not_used(cache: PartCache) -> None:
    cache.folder.mkdir()
    os.chown(cache.folder, 12345, -1)
    name, data = part("a")
    cache.keep({name: data})
    assert list(cache.folder.rglob("*")) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a disk of its own can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_passed_over(full_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    _pass_over.cache_clear()
    cache = PartCache(folder=full_disk / "cache", max_bytes=1_000_000)
    small, large = part("s", 5000), part("l", 100_000)
    cache.keep(dict([small, large]))
    assert cache.find(small[0]) == small[1]
    assert cache.find(large[0]) is None
    assert "No space left on device" in caplog.text
    assert list((cache.folder / "partial").iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from pricon.stores.cache import PartCache

cache = PartCache(folder=Path(sys.argv[1]), max_bytes=1000)
with cache.turn("shard"):
    (cache.folder / "partial").mkdir()
    (cache.folder / "partial/torn").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.multiprocess
def test_a_killed_process_leaves_neither_its_turn_nor_a_torn_part(cache: PartCache) -> None:
    command = [sys.executable, "-c", KILLED, str(cache.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    torn = cache.folder / "partial/torn"
    os.utime(torn, (time.time() - 3600, time.time() - 3600))
    name, data = part("a")
    with cache.turn("shard"):
        cache.keep({name: data})
    assert cache.find(name) == data
    assert not torn.exists()


def test_only_remote_corpora_have_one(tmp_path: Path) -> None:
    spec = CacheSpec(folder=str(tmp_path), max_gb=2)
    assert open_cache(spec, str(tmp_path / "corpus")) is None
    assert open_cache(spec, f"file://{tmp_path}") is None
    assert open_cache(CacheSpec(max_gb=0), "s3://bucket/corpus") is None
    assert open_cache(spec, "s3://bucket/corpus") == PartCache(
        folder=tmp_path, max_bytes=2_000_000_000
    )


READER = """
import sys
from pathlib import Path
from pricon.corpus.reader import open_corpus
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from pricon.stores.cache import PartCache
from tests.corpus.recording import RecordingStorage

uri, endpoint, folder = sys.argv[1:]
storage = open_storage(uri, StorageSpec(endpoint_url=endpoint, region="us-east-1"))
recording = RecordingStorage(inner=storage)
corpus = open_corpus(recording, PartCache(folder=Path(folder), max_bytes=10**8))
sys.stdin.readline()
index, features = corpus.windows(("audio", "physiology"))
print(sum(end - start for _, start, end in recording.ranges), float(features["audio"].sum()))
"""


@pytest.mark.s3
@pytest.mark.multiprocess
def test_two_processes_download_a_corpus_once(
    tmp_path: Path, s3: StorageSpec, s3_uri: str, cache: PartCache
) -> None:
    storage = open_storage(s3_uri, s3)
    source = write_tables(tmp_path / "source", units=4, sessions=3)
    spec = make_spec(s3_uri, source)
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    whole = open_corpus(storage)
    expected = whole.features("audio")
    command = [sys.executable, "-c", READER, s3_uri, str(s3.endpoint_url), str(cache.folder)]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert {float(total) for _, total in outputs} == {float(expected.sum())}
    text = {"participant", "session", "stimulus"}
    columns = [
        column
        for shard in whole.manifest.shards
        for name, column in shard.columns.items()
        if name not in text
    ]
    # Clocks of several shards are the same bytes, which may be fetched once or once a shard.
    least = sum({column.sha256: column.num_bytes for column in columns}.values())
    most = sum(column.num_bytes for column in columns)
    assert least <= sum(int(fetched) for fetched, _ in outputs) <= most

    file = next(cache.folder.glob("??/*"))
    file.write_bytes(file.read_bytes()[:-1])
    recording = RecordingStorage(inner=storage)
    third = open_corpus(recording, PartCache(folder=cache.folder, max_bytes=10**8))
    np.testing.assert_array_equal(third.windows(("audio", "physiology"))[1]["audio"], expected)
    assert len(recording.ranges) == 1
