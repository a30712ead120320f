import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pricon.corpus.manifest import ShardEntry
from pricon.corpus.shards import described, features_of, read_columns, write_shard
from pricon.errors import CorpusError
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


def check_same(one: pa.Table, other: pa.Table) -> None:
    """NaN is equal to NaN, which Arrow denies."""
    assert one.column_names == other.column_names
    for name in one.column_names:
        if pa.types.is_fixed_size_list(one[name].type):
            found, expected = (features_of(of[name], 1) for of in (one, other))
            np.testing.assert_array_equal(found, expected)
        else:
            assert one[name].equals(other[name])


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
    check_same(pq.read_table(pa.BufferReader(data)), make_table())


@pytest.mark.parametrize("columns", [["audio"], ["heart", "session"], make_table().column_names])
def test_reads_what_was_written(storage: Storage, shard: ShardEntry, columns: list[str]) -> None:
    check_same(read_columns(storage, shard, columns), make_table().select(columns))


def test_features_keep_unknown_values(storage: Storage, shard: ShardEntry) -> None:
    values = features_of(read_columns(storage, shard, ["audio"])["audio"], 1)
    assert values.shape == (NUM_WINDOWS, 1, 3)
    assert np.argwhere(np.isnan(values)).tolist() == [[1, 0, 0]]


def test_fetches_the_bytes_of_these_columns_only(storage: Storage, shard: ShardEntry) -> None:
    recording = RecordingStorage(inner=storage)
    read_columns(recording, shard, ["stimulus", "heart", "audio"])
    assert recording.whole == []
    named = [shard.columns[name] for name in ("stimulus", "audio", "heart")] + [shard.footer]
    fetched = sum(end - start for _, start, end in recording.ranges)
    assert fetched == sum(part.num_bytes for part in named)
    face = shard.columns["face"]
    for _, start, end in recording.ranges:
        assert end <= face.start or start >= face.start + face.num_bytes


def test_neighbours_are_one_request(storage: Storage, shard: ShardEntry) -> None:
    recording = RecordingStorage(inner=storage)
    read_columns(recording, shard, ["participant", "session", "stimulus", "t_start_s"])
    assert len(recording.ranges) == 2


def test_flipped_bit_is_found(storage: Storage, shard: ShardEntry) -> None:
    data = bytearray(storage.read(shard.path))
    data[shard.columns["audio"].start + 60] ^= 1
    storage.write(shard.path, bytes(data))
    with pytest.raises(CorpusError, match="shard is damaged") as caught:
        read_columns(storage, shard, ["audio"])
    message = caught.value.message
    assert f"{storage.uri}/{shard.path}" in message
    assert f"manifest sha256 {shard.columns['audio'].sha256}" in message
    assert "50 windows of participants P1, P2 are affected" in message
    read_columns(storage, shard, ["heart"])


def test_flipped_bit_in_the_footer_is_found(storage: Storage, shard: ShardEntry) -> None:
    data = bytearray(storage.read(shard.path))
    data[shard.footer.start + 10] ^= 1
    storage.write(shard.path, bytes(data))
    with pytest.raises(CorpusError, match="shard is damaged"):
        read_columns(storage, shard, ["heart"])


def test_cut_shard_is_found(storage: Storage, shard: ShardEntry) -> None:
    storage.write(shard.path, storage.read(shard.path)[: shard.footer.start])
    with pytest.raises(CorpusError, match="cut short"):
        read_columns(storage, shard, ["audio"])


def test_missing_shard_is_found(storage: Storage, shard: ShardEntry) -> None:
    storage.delete(shard.path)
    with pytest.raises(CorpusError, match="not found"):
        read_columns(storage, shard, ["audio"])


def test_reader_cannot_leave_its_columns(storage: Storage, shard: ShardEntry) -> None:
    """A manifest that gives one column the bytes of another one."""
    swapped = {**shard.columns, "audio": shard.columns["heart"]}
    with pytest.raises(CorpusError, match="left the columns it was given"):
        read_columns(storage, shard.model_copy(update={"columns": swapped}), ["audio"])


def test_names_ten_participants_at_most() -> None:
    assert described([f"P{number:02}" for number in range(12)]).endswith("P09 and 2 more")
