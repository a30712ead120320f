"""Raw recordings -> a corpus in storage, unit by unit, large ones in processes of their own.

Owns the order of events. Shards and journals first; the manifest last and only where none is, so
that a reader sees a whole corpus or none; then what this and other builds left over is removed.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

from pricon.corpus.agreement import check_agreement, source_hashes
from pricon.corpus.manifest import (
    MANIFEST_PATH,
    Manifest,
    ModalityEntry,
    SourceEntry,
    parse_manifest,
    settings_of,
    write_manifest,
)
from pricon.corpus.modalities import Modality
from pricon.corpus.session import Adapter
from pricon.corpus.survey import check_sessions, read_headers
from pricon.corpus.unit import (
    JOURNAL_FOLDER,
    SHARD_FOLDER,
    UnitResult,
    UnitTask,
    build_unit,
    describe_source,
)
from pricon.errors import CorpusError, PriconError, StorageError
from pricon.spec.corpus import CorpusSpec
from pricon.storage import Storage

MOST_PROCESSES = 16
"""Past this many, units wait for the disk and not for a CPU."""

SMALL_BYTES = 128 << 20
"""With less raw recordings than this, starting processes takes longer than they save."""

Progress = Callable[[int, int], None]
"""Told (finished units, all units)."""

_log = logging.getLogger(__name__)
_cancelled: Event


def build_corpus(
    adapter: Adapter,
    spec: CorpusSpec,
    storage: Storage,
    *,
    generated: bool,
    progress: Progress | None = None,
) -> Manifest:
    """Build the corpus that `spec` describes; an interrupted build goes on where it stopped.

    Args:
        adapter: reads the recordings.
        spec: windows, modalities, size of a shard.
        storage: where the corpus will be.
        generated: whether a generator wrote the recordings.
        progress: told after each unit.

    Raises:
        CorpusError: recordings or patterns are wrong, or another corpus is there already; all
            that was written is gone.
        StorageError: the store failed; the same command goes on, as it does after a kill.
    """
    tasks = _tasks(adapter, spec, storage)
    sources = _unique_sources(tasks)
    if storage.exists(MANIFEST_PATH):
        present = parse_manifest(storage.read(MANIFEST_PATH), f"{storage.uri}/{MANIFEST_PATH}")
        check_agreement(present, spec, source_hashes(sources))
        _remove_leftovers(storage, present)
        return present
    try:
        results = _build_units(tasks, progress or (lambda finished, total: None))
        manifest = _manifest(tasks[0], results, sources, generated=generated)
        _commit(storage, manifest)
    except StorageError:
        raise
    except CorpusError:
        _remove_built(storage, tasks)
        raise
    _remove_leftovers(storage, manifest)
    return manifest


def _tasks(adapter: Adapter, spec: CorpusSpec, storage: Storage) -> list[UnitTask]:
    """A task a unit, after all checks that need no rows."""
    units, modalities = read_headers(adapter, spec)
    folder = spec.recordings
    paths = {path for unit in units for path in unit.paths}
    sources = {path: describe_source(path, folder) for path in sorted(paths)}
    return [
        UnitTask(
            adapter=adapter,
            spec=spec,
            storage=storage,
            modalities=modalities,
            unit=unit,
            sources=tuple(sources[path] for path in unit.paths),
        )
        for unit in units
    ]


def _build_units(tasks: Sequence[UnitTask], progress: Progress) -> list[UnitResult]:
    num_processes = min(len(tasks), os.cpu_count() or 1, MOST_PROCESSES)
    num_bytes = sum(source.num_bytes for source in _unique_sources(tasks))
    progress(0, len(tasks))
    if num_processes == 1 or num_bytes < SMALL_BYTES:
        return list(_build_here(tasks, progress))
    context = get_context("spawn")
    cancelled = context.Event()
    with ProcessPoolExecutor(
        num_processes, mp_context=context, initializer=_begin, initargs=(cancelled,)
    ) as pool:
        futures = [pool.submit(_build_in_process, task) for task in tasks]
        try:
            return _gather(futures, progress)
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise


def _build_here(tasks: Sequence[UnitTask], progress: Progress) -> Iterator[UnitResult]:
    for number, task in enumerate(tasks):
        result = build_unit(task, is_cancelled=lambda: False)
        if result is not None:
            yield result
        progress(number + 1, len(tasks))


def _gather(futures: list[Future[UnitResult | None]], progress: Progress) -> list[UnitResult]:
    """Results in the order of the units."""
    try:
        for finished, future in enumerate(as_completed(futures), start=1):
            future.result()
            progress(finished, len(futures))
    except BrokenProcessPool as err:
        raise PriconError(
            "a process of the build was killed, most likely for want of memory",
            "lower `corpus.shard_windows` and start again; finished units are kept",
        ) from err
    return [result for future in futures if (result := future.result()) is not None]


def _begin(cancelled: Event) -> None:
    """Start of a process: it ends with the one that started it, however that ends."""
    global _cancelled
    _cancelled = cancelled
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _build_in_process(task: UnitTask) -> UnitResult | None:
    return None if _cancelled.is_set() else build_unit(task, _cancelled.is_set)


def _manifest(
    task: UnitTask, results: list[UnitResult], sources: tuple[SourceEntry, ...], *, generated: bool
) -> Manifest:
    sessions = tuple(session for result in results for session in result.sessions)
    check_sessions([session.id for session in sessions], task.spec)
    return Manifest(
        adapter=task.spec.adapter,
        generated=generated,
        generate=task.spec.generate if generated and task.spec.source is None else None,
        windows=task.spec.windows,
        settings=settings_of(task.spec),
        affects=task.adapter.affects,
        modalities=tuple(_modality(modality, results) for modality in task.modalities),
        sessions=sessions,
        shards=tuple(shard for result in results for shard in result.shards),
        sources=sources,
    )


def _modality(modality: Modality, results: list[UnitResult]) -> ModalityEntry:
    present: dict[str, set[int]] = {}
    for result in results:
        for stimulus, columns in result.present.items():
            present.setdefault(stimulus, set()).update(columns[modality.name])
    return ModalityEntry(
        name=modality.name,
        features=modality.features,
        present={stimulus: tuple(sorted(present[stimulus])) for stimulus in sorted(present)},
    )


def _commit(storage: Storage, manifest: Manifest) -> None:
    """Make the corpus visible, unless another build was faster: fine if it built the same."""
    data = write_manifest(manifest)
    lost = {shard.path for shard in manifest.shards} - {*storage.list(SHARD_FOLDER)}
    if lost and not storage.exists(MANIFEST_PATH):
        raise StorageError(
            f"a shard that was just written is gone: {storage.uri}/{min(lost)}",
            "another build may have removed it; try again",
        )
    if storage.create(MANIFEST_PATH, data):
        return
    if storage.read(MANIFEST_PATH) != data:
        raise CorpusError(
            f"another build has just written another corpus to {storage.uri}\n"
            f"  this one, adapter `{manifest.adapter}`, was not written",
            "give another `corpus.uri`",
        )
    _log.info("another build wrote the same corpus first  uri=%s", storage.uri)


def _remove_leftovers(storage: Storage, manifest: Manifest) -> None:
    """Journals, and shards of builds that were given up."""
    listed = {shard.path for shard in manifest.shards}
    for path in [*storage.list(JOURNAL_FOLDER), *storage.list(SHARD_FOLDER)]:
        if path not in listed:
            storage.delete(path)


def _remove_built(storage: Storage, tasks: Sequence[UnitTask]) -> None:
    """What only a build of these units writes, less what a corpus now there consists of."""
    with suppress(CorpusError):
        kept: set[str] = set()
        if storage.exists(MANIFEST_PATH):
            manifest = parse_manifest(storage.read(MANIFEST_PATH), storage.uri)
            kept = {shard.path for shard in manifest.shards}
        for task in tasks:
            for path in {*storage.list(task.shard_prefix), task.journal} - kept:
                storage.delete(path)


def _unique_sources(tasks: Sequence[UnitTask]) -> tuple[SourceEntry, ...]:
    by_name = {source.name: source for task in tasks for source in task.sources}
    return tuple(by_name[name] for name in sorted(by_name))
