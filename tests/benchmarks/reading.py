"""Windows and bytes a second of reading a corpus, from a folder and from S3. `make bench`.

All columns, and what a student of one modality needs. Everybody reads the same windows and gives
the same float32 arrays, compared in the first round, which is not counted. "raw GET" fetches and
keeps the bytes that pricon reads, in as many threads, and does nothing with them; with SHA-256 it
is what any reader must do that notices damage. The server runs on the same machine, so whoever
needs fewer CPU seconds for a byte also has a faster server.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import boto3
import numpy as np
from botocore.config import Config

from pricon.corpus.reader import Corpus, open_corpus
from pricon.storage import Storage, open_storage
from tests.benchmarks.reading_compression import compare
from tests.benchmarks.reading_corpus import STUDENT, WIDTHS, build
from tests.benchmarks.reading_peers import PEERS, Arrays, Place, Read
from tests.benchmarks.reading_profile import profile
from tests.benchmarks.table import Cell, Table, in_turns, medians, publish
from tests.seaweed import ACCESS_KEY, BUCKET, SECRET_KEY, seaweed

RAW, HASHED = "raw GET", "raw GET and SHA-256"
PRICON, LANE = "pricon", "pricon, a modality at a time"
RAW_AT_ONCE = 8
ALL = tuple(WIDTHS)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a small corpus, one round, no Ray")
    parser.add_argument("--participants", type=int, default=25)
    parser.add_argument("--windows", type=int, default=4000, help="of each participant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=[*PEERS])
    options = parser.parse_args(arguments)
    if options.quick:
        options.participants, options.windows, options.rounds = 3, 200, 1
        options.peers = [name for name in options.peers if name != "Ray Data"]
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="pricon-reading-")))
        publish(compare(scratch, options.windows, options.rounds))
        for place in _places(stack, scratch, options):
            _compare(place, options)


def _places(stack: ExitStack, scratch: Path, options: argparse.Namespace) -> Iterator[Place]:
    """A folder and a bucket that hold the same corpus."""
    folder = scratch / "folder"
    folder.mkdir()
    storage = open_storage(str(folder))
    build(storage.child("corpus"), scratch / "source", options.participants, options.windows)
    yield Place(storage=storage, spec=None, scratch=folder, shard_windows=options.windows)
    server = scratch / "server"
    server.mkdir()
    spec = stack.enter_context(seaweed(server))
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_ENDPOINT_URL": str(spec.endpoint_url),  # of MosaicML Streaming
    }
    stack.enter_context(patch.dict(os.environ, environment))
    bucket = open_storage(f"s3://{BUCKET}/reading", spec)
    for path in storage.list("corpus/"):
        bucket.upload(path, folder / path)
    local = scratch / "caches"
    local.mkdir()
    yield Place(storage=bucket, spec=spec, scratch=local, shard_windows=options.windows)


def _compare(place: Place, options: argparse.Namespace) -> None:
    corpus = open_corpus(place.storage.child("corpus"))
    expected = {name: corpus.features(name)[:, 0] for name in ALL}
    windows = np.concatenate([*expected.values()], axis=1)
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        peers: dict[str, Read] = {}
        for name in options.peers:
            try:
                peers[name] = stack.enter_context(PEERS[name](place, windows))
            except Exception as err:  # whatever a peer lacks or does, the others are measured
                failed[name] = _reason(err)
        for columns in (ALL, (STUDENT,)):
            contestants = _ours(place, corpus, columns) | peers
            works = {
                name: _checked(name, read, columns, expected, failed)
                for name, read in contestants.items()
            }
            seconds = medians(in_turns(works, options.rounds))
            seconds = {name: taken for name, taken in seconds.items() if name not in failed}
            table = _table(place, corpus, columns, seconds, failed)
            publish(table)
            publish(profile(corpus, [*_ranges(corpus, columns)], columns, table.name))


def _ours(place: Place, corpus: Corpus, columns: tuple[str, ...]) -> dict[str, Read]:
    ranges = list(_ranges(corpus, columns))
    fetch = _fetcher(place, corpus.storage)

    def raw(_: tuple[str, ...]) -> Arrays:
        with ThreadPoolExecutor(RAW_AT_ONCE) as pool:
            kept = list(pool.map(lambda part: fetch(*part), ranges))
        assert sum(map(len, kept)) == sum(end - start for _, start, end in ranges)
        return {}

    def at_once(columns: tuple[str, ...]) -> Arrays:
        _, features = open_corpus(corpus.storage).windows(columns)
        return {name: values[:, 0] for name, values in features.items()}

    def by_modality(columns: tuple[str, ...]) -> Arrays:
        opened = open_corpus(corpus.storage)
        opened.index()
        return {name: opened.features(name)[:, 0] for name in columns}

    def hashed(_: tuple[str, ...]) -> Arrays:
        with ThreadPoolExecutor(RAW_AT_ONCE) as pool:
            list(pool.map(lambda part: hashlib.sha256(fetch(*part)).digest(), ranges))
        return {}

    return {RAW: raw, HASHED: hashed, PRICON: at_once, LANE: by_modality}


def _ranges(corpus: Corpus, columns: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Path, start and end of the bytes that are wanted: index and modalities, gaps left out."""
    for shard in corpus.manifest.shards:
        start = end = 0
        for name, part in sorted(shard.columns.items(), key=lambda column: column[1].start):
            if name in WIDTHS and name not in columns:
                continue
            if part.start != end:
                if end:
                    yield shard.path, start, end
                start = part.start
            end = part.start + part.num_bytes
        yield shard.path, start, end


def _fetcher(place: Place, storage: Storage) -> Callable[[str, int, int], bytes]:
    """Reads a range as plainly as can be."""
    if place.spec is None:

        def read(path: str, start: int, end: int) -> bytes:
            with (Path(storage.uri) / path).open("rb") as file:
                file.seek(start)
                return file.read(end - start)

        return read
    client = boto3.client(
        "s3",
        endpoint_url=place.spec.endpoint_url,
        region_name=place.spec.region,
        config=Config(max_pool_connections=RAW_AT_ONCE),
    )
    bucket, _, prefix = storage.uri.removeprefix("s3://").partition("/")

    def fetch(path: str, start: int, end: int) -> bytes:
        part = f"bytes={start}-{end - 1}"
        answer: Any = client.get_object(Bucket=bucket, Key=f"{prefix}/{path}", Range=part)
        data: bytes = answer["Body"].read()
        return data

    return fetch


def _checked(
    name: str, read: Read, columns: tuple[str, ...], expected: Arrays, failed: dict[str, str]
) -> Callable[[], None]:
    """`read` of these columns, compared the first time; does nothing once it has failed."""
    checked = False

    def work() -> None:
        nonlocal checked
        if name in failed:
            return
        try:
            found = read(columns)
            for column in columns if name not in {RAW, HASHED} and not checked else ():
                np.testing.assert_array_equal(found[column], expected[column])
            checked = True
        except Exception as err:
            if name not in PEERS:
                raise
            failed[name] = _reason(err)

    return work


def _reason(err: Exception) -> str:
    lines = str(err).strip().splitlines() or [""]
    return f"{type(err).__name__}: {lines[0][:100]}"


def _table(
    place: Place,
    corpus: Corpus,
    columns: tuple[str, ...],
    seconds: dict[str, float],
    failed: dict[str, str],
) -> Table:
    num = corpus.manifest.num_windows
    decoded = sum(WIDTHS[name] for name in columns) * 4 * num / 1e6
    fetched = sum(end - start for _, start, end in _ranges(corpus, columns)) / 1e6
    best = min((seconds[name] for name in PEERS if name in seconds), default=None)
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            int(num / taken),
            decoded / taken,
            seconds[RAW] / taken,
            None if best is None else best / taken,
        )
        for name, taken in seconds.items()
    ]
    where = "a folder" if place.spec is None else "S3 on loopback"
    what = "all columns" if columns == ALL else f"index and `{STUDENT}` only"
    short = "folder" if place.spec is None else "s3", "all" if columns == ALL else "one"
    return Table(
        name=f"reading-{'-'.join(short)}",
        title=f"{num:,} windows from {where}, {what}: {decoded:,.0f} MB, {fetched:,.0f} MB fetched",
        columns=("", "windows/s", "MB/s of float32", "times raw GET", "times best peer"),
        rows=[*rows, *((name, None, None, None, None) for name in failed)],
        notes=tuple(f"{name} not measured: {reason}" for name, reason in failed.items()),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
