"""Windows in a Parquet file, written once and read by verified ranges of bytes.

A shard has one row group, so each column is one range of bytes. The manifest has every range and
its SHA-256; reading fetches the wanted columns and checks them. What is not asked for, privileged
columns above all, is never fetched; the footer is there for other readers of Parquet.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricon.corpus.index import PLACE_COLUMNS
from pricon.corpus.manifest import ByteRange, ShardEntry
from pricon.corpus.pages import read_pages
from pricon.errors import CorpusError
from pricon.heartbeat import beat
from pricon.storage import Storage
from pricon.stores.cache import PartCache

SHARD_LAYOUT = 2
"""Raised with every change of the bytes that a shard of the same windows has."""

_TEXT = list(PLACE_COLUMNS[:3])
_WORTH = 0.9
"""Share of its bytes up to which a compressed column is worth the time of decompressing it.

Measured on one core: plain pages are read at 5 GB/s, compressed ones at 0.8 to 1. A tenth saved
makes reading faster where a link gives each thread less than about 100 MB/s, and slower elsewhere.
"""

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
    _write(table, file)
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


def _write(table: pa.Table, file: Path) -> None:
    """Columns that compression makes much smaller are compressed; others are faster to read."""

    def write(compression: str | dict[str, str]) -> None:
        pq.write_table(
            table,
            file,
            row_group_size=table.num_rows,
            compression=compression,
            use_dictionary=_TEXT,
            write_statistics=False,
        )

    write("zstd")
    group = pq.read_metadata(file).row_group(0)
    columns = [*map(group.column, range(group.num_columns))]
    worth = [c.total_compressed_size <= _WORTH * c.total_uncompressed_size for c in columns]
    if not all(worth):
        codecs = ("zstd" if pays else "none" for pays in worth)
        write(dict(zip((column.path_in_schema for column in columns), codecs, strict=True)))


def read_into(
    storage: Storage,
    shard: ShardEntry,
    into: Mapping[str, NDArray[Any]],
    cache: PartCache | None = None,
) -> None:
    """Fill arrays with columns of a shard; nothing else is fetched.

    Columns side by side are one request. Nothing is written before its hash was checked.

    Args:
        storage: of the corpus.
        shard: in it.
        into: column -> contiguous array of the shard's windows, and of lists in further axes.
        cache: what is in there is not fetched; what is fetched will be.

    Raises:
        CorpusError: missing, cut short, or a hash differs; names shard, hashes and participants.
        StorageError: the store failed.
    """
    if cache is None:
        pieces = dict(_fetch(storage, shard, into))
    else:
        with cache.turn(shard.sha256):
            found = {name: cache.find(shard.columns[name].sha256) for name in into}
            absent = [name for name, piece in found.items() if piece is None]
            fetched = dict(_fetch(storage, shard, absent))
            cache.keep({shard.columns[name].sha256: piece for name, piece in fetched.items()})
        here = {name: memoryview(piece) for name, piece in found.items() if piece is not None}
        pieces = {**here, **fetched}
    for name, piece in pieces.items():
        _fill(storage, shard, name, piece, into[name])
    beat()


def _fetch(
    storage: Storage, shard: ShardEntry, names: Iterable[str]
) -> Iterator[tuple[str, memoryview]]:
    """Bytes of columns, checked."""
    wanted = sorted(((shard.columns[name], name) for name in names), key=lambda one: one[0].start)
    for run in _neighbours(wanted):
        start = run[0][0].start
        size = sum(part.num_bytes for part, _ in run)
        data = memoryview(storage.read_range(shard.path, start, size))
        for part, name in run:
            piece = data[part.start - start :][: part.num_bytes]
            check_hash(storage, shard, part.sha256, hashlib.sha256(piece).hexdigest())
            yield name, piece


def _fill(
    storage: Storage, shard: ShardEntry, name: str, piece: memoryview, values: NDArray[Any]
) -> None:
    try:
        read_pages(piece, values)
    except ValueError as err:
        raise CorpusError(
            f"column `{name}` does not hold what the manifest says: {storage.uri}/{shard.path}\n"
            f"  {err}, expected plain values of {shard.num_windows:,} windows",
            "the manifest does not fit this shard; `pricon corpus verify` says more",
        ) from err


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


def _neighbours(
    parts: Iterable[tuple[ByteRange, str]],
) -> Iterator[list[tuple[ByteRange, str]]]:
    """Runs of ranges without a gap, to be fetched in one request each."""
    run: list[tuple[ByteRange, str]] = []
    for part in parts:
        if run and run[-1][0].start + run[-1][0].num_bytes != part[0].start:
            yield run
            run = []
        run.append(part)
    if run:
        yield run
