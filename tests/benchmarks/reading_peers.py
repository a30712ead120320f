"""Other libraries reading the same windows: MosaicML Streaming, WebDataset, LitData, Ray Data.

They are no dependencies of pricon: `make bench` installs them beside it (`peers.txt`). Each
gets what is fastest for it: one float32 vector a window, shards as large as pricon's, windows in
order, no shuffling; Ray Data reads pricon's own Parquet files and is the only one that can leave
columns out.
"""

import importlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.spec.resources import StorageSpec
from pricon.storage import Storage
from tests.benchmarks.reading_corpus import WIDTHS
from tests.seaweed import ACCESS_KEY, BUCKET, SECRET_KEY

Arrays = dict[str, NDArray[np.float32]]
Read = Callable[[tuple[str, ...]], Arrays]
"""Some modalities of all windows, each of shape (windows, width)."""

_AT_ONCE = 2
"""Workers of Ray Data, where it is told how many it may have."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where contestants read.

    Args:
        storage: holds the corpus in `corpus/`, each peer's files beside it.
        spec: how S3 is reached; None for a folder.
        scratch: a local folder for caches.
        shard_windows: windows in a shard of every contestant.
    """

    storage: Storage
    spec: StorageSpec | None
    scratch: Path
    shard_windows: int


@contextmanager
def mosaic(place: Place, windows: NDArray[np.float32]) -> Iterator[Read]:
    """MosaicML Streaming: MDS shards, downloaded into a new local cache each time."""
    streaming = _quiet("streaming")
    local = place.scratch / "mosaic"
    with streaming.MDSWriter(
        out=str(local),
        columns={"x": f"ndarray:float32:{windows.shape[1]}"},
        size_limit=place.shard_windows * windows.shape[1] * 4,
    ) as writer:
        for window in windows:
            writer.write({"x": window})
    remote = _publish(place, local, "mosaic")

    def read(columns: tuple[str, ...]) -> Arrays:
        streaming.base.util.clean_stale_shared_memory()
        with _cache(place) as cache:
            where = {"local": remote} if place.spec is None else {"remote": remote, "local": cache}
            dataset = streaming.StreamingDataset(
                **where, shuffle=False, batch_size=1, predownload=len(windows)
            )
            return _split(columns, (sample["x"] for sample in dataset), len(windows))

    yield read


@contextmanager
def webdataset(place: Place, windows: NDArray[np.float32]) -> Iterator[Read]:
    """WebDataset: tar files, read over HTTP by curl, as its own `pipe:` and `https:` do."""
    library = _quiet("webdataset")
    local = place.scratch / "webdataset"
    local.mkdir()
    for number, start in enumerate(range(0, len(windows), place.shard_windows)):
        with library.TarWriter(str(local / f"{number:06}.tar")) as tar:
            for row in range(start, min(start + place.shard_windows, len(windows))):
                tar.write({"__key__": f"{row:09}", "bin": windows[row].tobytes()})
    _publish(place, local, "webdataset")
    names = sorted(file.name for file in local.iterdir())
    urls = [_url(place, f"webdataset/{name}") for name in names]

    def read(columns: tuple[str, ...]) -> Arrays:
        dataset = library.WebDataset(urls, shardshuffle=False, empty_check=False)
        vectors = (np.frombuffer(sample["bin"], np.float32) for sample in dataset)
        return _split(columns, vectors, len(windows))

    yield read


@contextmanager
def litdata(place: Place, windows: NDArray[np.float32]) -> Iterator[Read]:
    """LitData: chunks, downloaded into a new local cache each time."""
    library = _quiet("litdata")
    local = place.scratch / "litdata"
    local.mkdir()
    size = place.shard_windows * windows.shape[1] * 4
    cache = importlib.import_module("litdata.streaming.cache").Cache(str(local), chunk_bytes=size)
    for row, window in enumerate(windows):
        cache[row] = window
    cache.done()
    cache.merge()
    # It takes a boto3 endpoint to be one of https, and has no setting for another.
    downloader = importlib.import_module("litdata.streaming.downloader")
    downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True
    remote = _publish(place, local, "litdata")

    def read(columns: tuple[str, ...]) -> Arrays:
        with _cache(place) as folder:
            options = {} if place.spec is None else {"storage_options": _options(place.spec)}
            dataset = library.StreamingDataset(remote, cache_dir=folder, shuffle=False, **options)
            vectors = (np.asarray(window) for window in dataset)
            return _split(columns, vectors, len(windows))

    yield read


@contextmanager
def ray_data(place: Place, windows: NDArray[np.float32]) -> Iterator[Read]:
    """Ray Data on pricon's Parquet files, in a local Ray that is up before the clock starts."""
    ray = _quiet("ray")
    data = _quiet("ray.data")
    ray.init(num_cpus=_AT_ONCE, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        listed = place.storage.list("corpus/shards/")
        shards = sorted(path for path in listed)

        def read(columns: tuple[str, ...]) -> Arrays:
            paths, filesystem = _arrow_paths(place, shards)
            dataset = data.read_parquet(
                paths, columns=[*columns], filesystem=filesystem, override_num_blocks=len(paths)
            )
            parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in columns}
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for name in columns:
                    flat = table[name].combine_chunks()
                    values = getattr(flat, "storage", flat).flatten().to_numpy()
                    parts[name].append(values.reshape(-1, WIDTHS[name]))
            return {name: np.concatenate(values) for name, values in parts.items()}

        yield read
    finally:
        ray.shutdown()


PEERS = {
    "MosaicML Streaming": mosaic,
    "WebDataset": webdataset,
    "LitData": litdata,
    "Ray Data": ray_data,
}


def _quiet(name: str) -> Any:
    module = importlib.import_module(name)
    logging.getLogger(name).setLevel(logging.ERROR)
    return module


def _split(columns: tuple[str, ...], vectors: Iterator[Any], num: int) -> Arrays:
    """Vectors of whole windows as arrays of some modalities, written where they belong."""
    whole = np.empty((num, sum(WIDTHS.values())), np.float32)
    row = -1
    for row, vector in enumerate(vectors):
        whole[row] = vector
    if row + 1 != num:
        raise RuntimeError(f"{row + 1} windows of {num}")
    ends = dict(zip(WIDTHS, accumulate(WIDTHS.values()), strict=True))
    return {name: whole[:, ends[name] - WIDTHS[name] : ends[name]] for name in columns}


def _publish(place: Place, local: Path, name: str) -> str:
    """Where contestants find the files of `local`: there, or uploaded."""
    if place.spec is None:
        return str(local)
    for file in local.rglob("*"):
        if file.is_file():
            place.storage.upload(f"{name}/{file.relative_to(local).as_posix()}", file)
    return f"{place.storage.uri}/{name}"


@contextmanager
def _cache(place: Place) -> Iterator[str]:
    folder = mkdtemp(dir=place.scratch)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options(spec: StorageSpec) -> dict[str, str | None]:
    return {
        "endpoint_url": spec.endpoint_url,
        "region_name": spec.region,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
    }


def _url(place: Place, path: str) -> str:
    if place.spec is None:
        return str(place.scratch / path)
    import boto3

    client = boto3.client("s3", **_options(place.spec))
    key = f"{place.storage.uri}/{path}".removeprefix(f"s3://{BUCKET}/")
    url: str = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key})
    return url


def _arrow_paths(place: Place, shards: list[str]) -> tuple[list[str], Any]:
    if place.spec is None:
        return [f"{place.storage.uri}/{path}" for path in shards], None
    from pyarrow.fs import S3FileSystem

    endpoint = (place.spec.endpoint_url or "").removeprefix("http://")
    files = S3FileSystem(
        access_key=ACCESS_KEY, secret_key=SECRET_KEY, endpoint_override=endpoint, scheme="http"
    )
    return [f"{place.storage.uri}/{path}".removeprefix("s3://") for path in shards], files
