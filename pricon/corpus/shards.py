"""Windows in a Parquet file, written once and read by verified ranges of bytes.

A shard has one row group, so each column is one range of bytes. The manifest has every range and
its SHA-256; reading fetches the footer and the wanted columns, checks them, and lets the Parquet
reader see nothing else. What is not asked for, privileged columns above all, is never fetched.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricon.corpus.index import PLACE_COLUMNS
from pricon.corpus.manifest import ByteRange, ShardEntry
from pricon.errors import CorpusError
from pricon.storage import Storage

_TEXT = list(PLACE_COLUMNS[:3])
_MAGIC_BYTES = 8
"""A Parquet file ends with the length of its metadata and `PAR1`, four bytes each."""


def write_shard(file: Path, table: pa.Table, *, path: str, unit: str) -> ShardEntry:
    """Write `table` to a local file.

    Args:
        file: where to write.
        table: the windows, at least one; columns of the index and one a modality.
        path: where the shard will lie in the corpus.
        unit: the raw files it was built from.

    Returns:
        What the manifest must say about it.
    """
    pq.write_table(
        table,
        file,
        row_group_size=table.num_rows,
        compression="zstd",
        use_dictionary=_TEXT,
        write_statistics=False,
    )
    with file.open("rb") as data:
        footer = _footer(data)
        return ShardEntry(
            path=path,
            unit=unit,
            num_windows=table.num_rows,
            num_bytes=footer.start + footer.num_bytes,
            sha256=hashlib.file_digest(data, "sha256").hexdigest(),
            stimuli=tuple(sorted(table["stimulus"].unique().to_pylist())),
            participants=tuple(sorted(table["participant"].unique().to_pylist())),
            footer=footer,
            columns=dict(_column_ranges(data, footer)),
        )


def read_columns(storage: Storage, shard: ShardEntry, columns: Sequence[str]) -> pa.Table:
    """Some columns of a shard, in the order asked for; nothing else is fetched.

    Raises:
        CorpusError: missing, cut short, or a hash differs; names shard, hashes and participants.
        StorageError: the store failed.
    """
    wanted = sorted((shard.columns[name] for name in columns), key=lambda part: part.start)
    parts: dict[int, bytes] = {}
    for run in _neighbours([*wanted, shard.footer]):
        start = run[0].start
        data = storage.read_range(shard.path, start, sum(part.num_bytes for part in run))
        for part in run:
            piece = data[part.start - start :][: part.num_bytes]
            check_hash(storage, shard, part.sha256, hashlib.sha256(piece).hexdigest())
            parts[part.start] = piece
    metadata = pq.read_metadata(pa.BufferReader(parts[shard.footer.start]))
    sparse = pa.PythonFile(_Sparse(parts, f"{storage.uri}/{shard.path}"), mode="r")
    file = pq.ParquetFile(sparse, metadata=metadata, pre_buffer=False)
    return file.read(list(columns), use_threads=False).select(list(columns))


def check_hash(storage: Storage, shard: ShardEntry, expected: str, found: str) -> None:
    """Nothing, if the hashes agree.

    Raises:
        CorpusError: they differ; names shard, both hashes and the participants affected.
    """
    if found != expected:
        raise CorpusError(
            f"shard is damaged: {storage.uri}/{shard.path}\n"
            f"  manifest sha256 {expected}\n"
            f"  read sha256     {found}\n"
            f"  {shard.num_windows:,} windows of {described(shard.participants)} are affected",
            "copy the shard again from a good copy, or build the corpus again under another "
            "`corpus.uri`; `pricon corpus verify` finds every damaged shard",
        )


def described(participants: Iterable[str]) -> str:
    """Participants in an error message, the first ten of them.

    >>> described(["P02", "P01"])
    'participants P01, P02'
    """
    names = sorted(participants)
    rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"participant{'s' * (len(names) != 1)} {', '.join(names[:10])}{rest}"


def features_of(column: pa.ChunkedArray, frames: int) -> NDArray[np.float32]:
    """A column of lists, frame after frame, as an array of shape (windows, frames, width)."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    values: NDArray[np.float32] = flat.reshape(-1, frames, column.type.list_size // frames)
    return values


def _footer(file: io.BufferedReader) -> ByteRange:
    end = file.seek(-_MAGIC_BYTES, os.SEEK_END)
    num_bytes = int.from_bytes(file.read(4), "little") + _MAGIC_BYTES
    return _range(file, end + _MAGIC_BYTES - num_bytes, num_bytes)


def _column_ranges(file: io.BufferedReader, footer: ByteRange) -> Iterator[tuple[str, ByteRange]]:
    file.seek(footer.start)
    group = pq.read_metadata(pa.BufferReader(file.read())).row_group(0)
    for column in map(group.column, range(group.num_columns)):
        name = column.path_in_schema.partition(".")[0]
        start = column.dictionary_page_offset or column.data_page_offset
        yield name, _range(file, start, column.total_compressed_size)


def _range(file: io.BufferedReader, start: int, num_bytes: int) -> ByteRange:
    file.seek(start)
    digest = hashlib.sha256(file.read(num_bytes)).hexdigest()
    file.seek(0)
    return ByteRange(start=start, num_bytes=num_bytes, sha256=digest)


def _neighbours(parts: list[ByteRange]) -> Iterator[list[ByteRange]]:
    """Runs of ranges without a gap, to be fetched in one request each."""
    run: list[ByteRange] = []
    for part in parts:
        if run and run[-1].start + run[-1].num_bytes != part.start:
            yield run
            run = []
        run.append(part)
    yield run


class _Sparse(io.RawIOBase):
    """A file of which only some ranges are there.

    Args:
        parts: start -> bytes.
        where: the file's place, for messages.
    """

    def __init__(self, parts: dict[int, bytes], where: str) -> None:
        self.parts = parts
        self.where = where
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = max(start + len(data) for start, data in self.parts.items())
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: end}
        self.position = origin[whence] + offset
        return self.position

    def read(self, size: int = -1) -> Any:
        for start, data in self.parts.items():
            first = self.position - start
            if first >= 0 and 0 <= size <= len(data) - first:
                self.position += size
                return data[first : first + size]
        raise CorpusError(
            f"the Parquet reader left the columns it was given: {self.where}\n"
            f"  bytes {self.position:,} + {size:,}",
            "the manifest does not fit this shard; `pricon corpus verify` says more",
        )
