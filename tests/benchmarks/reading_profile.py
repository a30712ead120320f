"""Where the time of reading goes: CPU seconds of each step, one after the other.

A reader may overlap its steps, but on a machine whose cores are busy, each with a request or with
the server that answers it, what all steps need together is what reading takes.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import psutil

from pricon.corpus.index import number_columns
from pricon.corpus.pages import read_pages
from pricon.corpus.reader import Corpus, open_corpus
from tests.benchmarks.table import Cell, Table

REPEATS = 5
Request = tuple[str, int, int]
"""Path, start and end."""


def profile(
    corpus: Corpus, requests: Sequence[Request], columns: Sequence[str], name: str
) -> Table:
    """Milliseconds of reading these columns and the index, by step.

    Args:
        corpus: is read.
        requests: what a reader fetches.
        columns: modalities.
        name: of the table.
    """
    storage = corpus.storage
    fetched: list[bytes] = []

    def fetch() -> None:
        fetched[:] = [storage.read_range(path, start, end - start) for path, start, end in requests]

    def check() -> None:
        for data in fetched:
            hashlib.sha256(data).digest()

    def decode() -> None:
        for request, data in zip(requests, fetched, strict=True):
            _decode(corpus, request, memoryview(data))

    steps: dict[str, Callable[[], object]] = {
        "manifest": lambda: open_corpus(storage),
        "requests": fetch,
        "SHA-256": check,
        "pages into arrays": decode,
        "pricon, all of it": lambda: open_corpus(storage).windows(columns),
    }
    rows: list[tuple[Cell, ...]] = [
        (step, *(1000 * seconds for seconds in _seconds(work))) for step, work in steps.items()
    ]
    megabytes = sum(map(len, fetched)) / 1e6
    return Table(
        name=f"{name}-profile",
        title=f"what reading these {megabytes:,.0f} MB costs, step by step in one thread",
        columns=("", "wall ms", "CPU ms", "CPU ms of the server"),
        rows=rows,
        notes=("All of it: with threads, and the index of all windows put together.",),
    )


def _decode(corpus: Corpus, request: Request, data: memoryview) -> None:
    """Numbers and features in these bytes of a shard."""
    manifest, (path, first, end) = corpus.manifest, request
    shard = next(one for one in manifest.shards if one.path == path)
    num, frames = shard.num_windows, manifest.windows.frames
    shapes = dict.fromkeys(number_columns(manifest.affects), (num,))
    features = {one.name: (num, frames, one.width) for one in manifest.modalities}
    for name, shape in {**shapes, **features}.items():
        part = shard.columns[name]
        if first <= part.start < end:
            kind = np.float32 if name in features else np.float64
            read_pages(data[part.start - first :][: part.num_bytes], np.empty(shape, kind))


def _seconds(work: Callable[[], object]) -> tuple[float, ...]:
    """Medians of wall, of this process' CPU and of its children's."""
    found = []
    for _ in range(REPEATS):
        before = _clocks()
        work()
        found.append([after - start for after, start in zip(_clocks(), before, strict=True)])
    return tuple(map(statistics.median, zip(*found, strict=True)))


def _clocks() -> tuple[float, float, float]:
    children = (child.cpu_times() for child in psutil.Process().children())
    served = sum(times.user + times.system for times in children)
    return time.perf_counter(), time.process_time(), served
