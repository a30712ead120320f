from pathlib import Path

import pytest

from pricon.corpus.build import build_corpus
from pricon.corpus.manifest import Manifest
from pricon.corpus.verify import verify
from pricon.errors import CorpusError
from pricon.storage import Storage, open_storage
from tests.corpus.tables import TableAdapter, make_spec, write_tables


@pytest.fixture
def manifest(tmp_path: Path, storage: Storage) -> Manifest:
    source = write_tables(tmp_path / "source")
    spec = make_spec(storage.uri, source)
    return build_corpus(TableAdapter(folder=source), spec, storage, generated=False)


def test_whole_corpus(storage: Storage, manifest: Manifest) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(storage, lambda finished, total: seen.append((finished, total)))
    assert found.digest == manifest.digest
    assert found.num_shards == len(manifest.shards) == len(seen)
    assert found.num_bytes == sum(len(storage.read(shard.path)) for shard in manifest.shards)
    assert found.orphans == ()


def test_every_damaged_shard_is_named(storage: Storage, manifest: Manifest) -> None:
    flipped, cut, missing = manifest.shards[0], manifest.shards[4], manifest.shards[8]
    data = bytearray(storage.read(flipped.path))
    data[flipped.columns["physiology"].start + 30] ^= 1
    storage.write(flipped.path, bytes(data))
    storage.write(cut.path, storage.read(cut.path)[:-1])
    storage.delete(missing.path)
    with pytest.raises(CorpusError, match=r"3 of 9 shards of .* are damaged") as caught:
        verify(storage)
    message = caught.value.message
    assert f"{flipped.path}: sha256 " in message
    assert f"expected {flipped.sha256} (in physiology)" in message
    assert f"{cut.path}: {cut.num_bytes - 1:,} bytes, expected {cut.num_bytes:,}" in message
    assert f"{missing.path}: missing" in message
    assert "20 windows of participants P0, P1, P2 are affected" in message
    assert caught.value.exit_code == 2


def test_leftovers_are_no_damage(storage: Storage, manifest: Manifest) -> None:
    storage.write("shards/other-0.parquet", b"x")
    assert verify(storage).orphans == ("shards/other-0.parquet",)


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no corpus"):
        verify(open_storage(str(tmp_path)))
