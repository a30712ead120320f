"""Whether a corpus is whole: every byte that its manifest speaks of, checked against its hash."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pricon.corpus.manifest import MANIFEST_PATH, ByteRange, ShardEntry
from pricon.corpus.reader import open_corpus
from pricon.corpus.shards import described
from pricon.errors import CorpusError
from pricon.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked and found whole.

    Args:
        digest: SHA-256 of the manifest.
        num_shards: shards read.
        num_bytes: bytes read.
        orphans: objects that no manifest speaks of: leftovers, harmless.
    """

    digest: str
    num_shards: int
    num_bytes: int
    orphans: tuple[str, ...]


def verify(storage: Storage, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Read every shard and check it.

    Args:
        storage: of the corpus.
        progress: told (shards read, all shards).

    Raises:
        CorpusError: no corpus, or damaged; names every damaged shard and the participants.
        StorageError: the store failed.
    """
    manifest = open_corpus(storage).manifest
    there = {*storage.list()}
    damaged: list[tuple[ShardEntry, str]] = []
    for finished, shard in enumerate(manifest.shards, start=1):
        if shard.path not in there:
            damaged.append((shard, "missing"))
        elif problem := _problem(storage.read(shard.path), shard):
            damaged.append((shard, problem))
        if progress is not None:
            progress(finished, len(manifest.shards))
    if damaged:
        raise _damage(storage, damaged, len(manifest.shards))
    return Verification(
        digest=manifest.digest,
        num_shards=len(manifest.shards),
        num_bytes=sum(shard.num_bytes for shard in manifest.shards),
        orphans=tuple(sorted(there - {MANIFEST_PATH, *(s.path for s in manifest.shards)})),
    )


def _problem(data: bytes, shard: ShardEntry) -> str | None:
    if len(data) != shard.num_bytes:
        return f"{len(data):,} bytes, expected {shard.num_bytes:,}"
    found = hashlib.sha256(data).hexdigest()
    ranges = list(_wrong_ranges(data, shard))
    if found == shard.sha256 and not ranges:
        return None
    return f"sha256 {found}, expected {shard.sha256} (in {', '.join(ranges) or 'no column'})"


def _wrong_ranges(data: bytes, shard: ShardEntry) -> Iterator[str]:
    named: list[tuple[str, ByteRange]] = [*shard.columns.items(), ("footer", shard.footer)]
    for name, part in named:
        piece = data[part.start :][: part.num_bytes]
        if hashlib.sha256(piece).hexdigest() != part.sha256:
            yield name


def _damage(
    storage: Storage, damaged: list[tuple[ShardEntry, str]], num_shards: int
) -> CorpusError:
    lines = "\n".join(f"  {shard.path}: {problem}" for shard, problem in damaged)
    participants = {name for shard, _ in damaged for name in shard.participants}
    num_windows = sum(shard.num_windows for shard, _ in damaged)
    return CorpusError(
        f"{len(damaged)} of {num_shards} shards of {storage.uri} are damaged\n{lines}\n"
        f"  {num_windows:,} windows of {described(participants)} are affected",
        "copy these shards again from a good copy, or build the corpus again under another "
        "`corpus.uri`",
    )
