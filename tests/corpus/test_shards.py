import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pricon.corpus.manifest import ShardEntry
from pricon.corpus.shards import described, read_into, write_shard
from pricon.errors import CorpusError
from pricon.heartbeat import beats
from pricon.storage import Storage
from tests.corpus.recording import RecordingStorage

NUM_WINDOWS = 50


def make_table() -> pa.Table:
    generator = np.random.default_rng(0)

    def modality(width: int) -> pa.Array:
        values = generator.standard_normal(NUM_WINDOWS * width).astype(np.float32)
        values[3] = np.nan
        return pa.FixedSizeListArray.from_arrays(pa.array(values), width)

    return pa.table(
        {
            "participant": ["P1", "P2"] * (NUM_WINDOWS // 2),
            "session": ["a"] * NUM_WINDOWS,
            "stimulus": ["maze"] * NUM_WINDOWS,
            "t_start_s": np.arange(NUM_WINDOWS, dtype=np.float64),
            "t_end_s": np.arange(1, NUM_WINDOWS + 1, dtype=np.float64),
            "arousal": generator.standard_normal(NUM_WINDOWS),
            "audio": modality(3),
            "face": modality(40),
            "heart": modality(5),
        }
    )


def read(storage: Storage, shard: ShardEntry, *names: str) -> dict[str, NDArray[Any]]:
    widths = {"audio": 3, "face": 40, "heart": 5}
    into: dict[str, NDArray[Any]] = {
        name: np.empty((NUM_WINDOWS, widths[name]), np.float32)
        if name in widths
        else np.empty(NUM_WINDOWS)
        for name in names
    }
    read_into(storage, shard, into)
    return into


def written(name: str) -> NDArray[Any]:
    column = make_table()[name].combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        values: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(NUM_WINDOWS, -1)
    numbers: NDArray[Any] = column.to_numpy()
    return numbers


@pytest.fixture
def shard(storage: Storage, tmp_path: Path) -> ShardEntry:
    file = tmp_path / "shard.parquet"
    entry = write_shard(file, make_table(), path="shards/a-0.parquet", unit="a")
    storage.upload(entry.path, file)
    return entry


def test_entry_describes_the_file(storage: Storage, shard: ShardEntry) -> None:
    data = storage.read(shard.path)
    assert (shard.num_bytes, shard.num_windows) == (len(data), NUM_WINDOWS)
    assert shard.sha256 == hashlib.sha256(data).hexdigest()
    assert (shard.participants, shard.stimuli) == (("P1", "P2"), ("maze",))
    assert list(shard.columns) == make_table().column_names
    ends = [part.start + part.num_bytes for part in shard.columns.values()]
    assert [part.start for part in shard.columns.values()] == [4, *ends[:-1]]
    assert shard.footer.start >= ends[-1]
    found = pq.read_table(pa.BufferReader(data))
    assert found.schema.equals(make_table().schema)
    for name in found.column_names:
        expected = make_table()[name].combine_chunks()
        assert found[name].combine_chunks().to_pylist()[2:] == expected.to_pylist()[2:]


def test_columns_are_compressed_where_it_pays(tmp_path: Path) -> None:
    table = make_table()
    zeros = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(NUM_WINDOWS * 40, np.float32)), 40)
    table = table.set_column(table.schema.get_field_index("face"), "face", zeros)
    write_shard(tmp_path / "shard", table, path="shards/a-0.parquet", unit="a")
    group = pq.read_metadata(tmp_path / "shard").row_group(0)
    codecs = {
        column.path_in_schema.partition(".")[0]: column.compression
        for column in map(group.column, range(group.num_columns))
    }
    assert (codecs["audio"], codecs["face"]) == ("UNCOMPRESSED", "ZSTD")


@pytest.mark.parametrize(
    "names",
    [("audio",), ("heart", "t_end_s"), ("heart", "audio", "face", "arousal", "t_start_s")],
)
def test_reads_what_was_written(
    storage: Storage, shard: ShardEntry, names: tuple[str, ...]
) -> None:
    before = beats()
    columns = read(storage, shard, *names)
    assert beats() == before + 1
    for name, found in columns.items():
        np.testing.assert_array_equal(found, written(name))


def test_features_keep_unknown_values(storage: Storage, shard: ShardEntry) -> None:
    assert np.argwhere(np.isnan(read(storage, shard, "audio")["audio"])).tolist() == [[1, 0]]


def test_fetches_the_bytes_of_these_columns_only(storage: Storage, shard: ShardEntry) -> None:
    recording = RecordingStorage(inner=storage)
    read(recording, shard, "t_end_s", "heart", "audio")
    assert recording.whole == []
    named = [shard.columns[name] for name in ("t_end_s", "audio", "heart")]
    fetched = sum(end - start for _, start, end in recording.ranges)
    assert fetched == sum(part.num_bytes for part in named)
    face = shard.columns["face"]
    for _, start, end in recording.ranges:
        assert end <= face.start or start >= face.start + face.num_bytes


def test_neighbours_are_one_request(storage: Storage, shard: ShardEntry) -> None:
    recording = RecordingStorage(inner=storage)
    read(recording, shard, "audio", "t_start_s", "arousal", "t_end_s")
    assert len(recording.ranges) == 1
    read(recording, shard, "audio", "heart")
    assert len(recording.ranges) == 3


def test_flipped_bit_is_found(storage: Storage, shard: ShardEntry) -> None:
    data = bytearray(storage.read(shard.path))
    data[shard.columns["audio"].start + 60] ^= 1
    storage.write(shard.path, bytes(data))
    with pytest.raises(CorpusError, match="shard is damaged") as caught:
        read(storage, shard, "audio")
    message = caught.value.message
    assert f"{storage.uri}/{shard.path}" in message
    assert f"manifest sha256 {shard.columns['audio'].sha256}" in message
    assert "50 windows of participants P1, P2 are affected" in message
    read(storage, shard, "heart")


def test_footer_is_not_needed(storage: Storage, shard: ShardEntry) -> None:
    """What the manifest says has a hash already; `pricon corpus verify` reads footers too."""
    data = bytearray(storage.read(shard.path))
    data[shard.footer.start + 10] ^= 1
    storage.write(shard.path, bytes(data))
    np.testing.assert_array_equal(read(storage, shard, "heart")["heart"], written("heart"))


def test_cut_shard_is_found(storage: Storage, shard: ShardEntry) -> None:
    storage.write(shard.path, storage.read(shard.path)[: shard.columns["face"].start - 1])
    with pytest.raises(CorpusError, match="cut short"):
        read(storage, shard, "audio")


def test_missing_shard_is_found(storage: Storage, shard: ShardEntry) -> None:
    storage.delete(shard.path)
    with pytest.raises(CorpusError, match="not found"):
        read(storage, shard, "audio")


def test_columns_hold_what_the_manifest_says(storage: Storage, shard: ShardEntry) -> None:
    """A manifest that gives one column the bytes of another one."""
    swapped = {**shard.columns, "audio": shard.columns["heart"]}
    with pytest.raises(CorpusError, match="`audio` does not hold what the manifest says") as caught:
        read(storage, shard.model_copy(update={"columns": swapped}), "audio")
    assert "expected plain values of 50 windows" in caught.value.message


def test_names_ten_participants_at_most() -> None:
    assert described([f"P{number:02}" for number in range(12)]).endswith("P09 and 2 more")
