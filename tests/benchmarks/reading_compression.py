"""What zstd saves and costs in a shard, and below which speed of a link it pays."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricon.corpus.pages import read_pages
from tests.benchmarks.reading_corpus import WIDTHS, wander
from tests.benchmarks.table import Cell, Table, in_turns, medians

_SPARSE = 0.8
"""Share of zeros in features that count events, as those of games do."""


def compare(scratch: Path, num_windows: int, rounds: int) -> Table:
    """Wandering and sparse features, as they are and compressed, read by pricon from memory."""
    rng = np.random.default_rng(0)
    dense = wander(rng, num_windows, WIDTHS["audio"])
    sparse = np.where(rng.random(dense.shape) < _SPARSE, 0, dense).astype(np.float32)
    columns = {
        (kind, codec): _column(scratch, values, codec)
        for kind, values in (("wandering", dense), ("80 % zeros", sparse))
        for codec in ("none", "zstd")
    }
    room = np.empty_like(dense)
    works = {
        f"{kind}, {codec}": lambda data=data: read_pages(data, room)
        for (kind, codec), data in columns.items()
    }
    seconds = medians(in_turns(works, rounds))
    rows: list[tuple[Cell, ...]] = []
    for (kind, codec), data in columns.items():
        taken, plain = seconds[f"{kind}, {codec}"], seconds[f"{kind}, none"]
        saved = len(columns[kind, "none"]) - len(data)
        pays = "-" if codec == "none" else saved / (taken - plain) / 1e6
        rows.append(
            (f"{kind}, {codec}", len(data) / dense.nbytes, dense.nbytes / taken / 1e6, pays)
        )
    return Table(
        name="reading-compression",
        title=f"{num_windows:,} windows of {WIDTHS['audio']} float32 in memory, one thread",
        columns=("", "share of bytes", "MB/s of float32", "pays below MB/s"),
        rows=rows,
        notes=("Below that speed of a link, for each reading thread, zstd makes reading faster.",),
    )


def _column(scratch: Path, values: NDArray[np.float32], codec: str) -> memoryview:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    file = scratch / "column.parquet"
    pq.write_table(
        pa.table({"x": lists}),
        file,
        row_group_size=len(values),
        compression=codec,
        use_dictionary=False,
        write_statistics=False,
    )
    found = pq.read_metadata(file).row_group(0).column(0)
    return memoryview(file.read_bytes())[found.data_page_offset :][: found.total_compressed_size]
