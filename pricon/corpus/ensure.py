"""The corpus that a job describes: opened where it is built, built where it is not."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.agreement import check_agreement, source_sizes
from pricon.corpus.build import Progress, build_corpus
from pricon.corpus.generate import (
    MARKER,
    generate_recordings,
    is_generated,
    write_recordings,
)
from pricon.corpus.manifest import MANIFEST_PATH, Manifest
from pricon.corpus.reader import Corpus, open_corpus
from pricon.corpus.survey import Survey, survey
from pricon.errors import CorpusError, StorageError
from pricon.spec.corpus import CorpusSpec, GenerateSpec
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage

Approve = Callable[[Survey], None]
"""Raises where a job cannot use such a corpus."""


def ensure_corpus(
    spec: CorpusSpec,
    storage_spec: StorageSpec,
    progress: Progress | None = None,
    approve: Approve | None = None,
) -> Corpus:
    """The corpus at `spec.uri`; generated and built first, where it is not there.

    Args:
        spec: the corpus as the job describes it.
        storage_spec: the object store.
        progress: told after each unit of a build.
        approve: told what the corpus will hold before anything of it is written; where it raises,
            nothing is.

    Raises:
        CorpusError: what is there was built with other settings or from other recordings, or it
            cannot be built.
        StorageError: the store failed.
    """
    storage = open_storage(spec.uri, storage_spec)
    if not storage.exists(MANIFEST_PATH):
        build(spec, storage_spec, progress, approve)
        return open_corpus(storage)
    return open_built(spec, storage_spec)


def look_at(spec: CorpusSpec, storage_spec: StorageSpec) -> Corpus | Survey:
    """The corpus at `spec.uri` where it is built, and what it will hold where not.

    Leaves nothing behind; recordings that have to be generated are, in the temporary folder.

    Raises:
        CorpusError: as `ensure_corpus`.
        StorageError: the store failed.
    """
    if open_storage(spec.uri, storage_spec).exists(MANIFEST_PATH):
        return open_built(spec, storage_spec)
    source = _source(spec)
    generate = _to_generate(spec, source)
    if generate is None:
        return _survey(spec, source)
    with TemporaryDirectory(prefix="pricon-") as folder:
        try:
            write_recordings(spec, generate, Path(folder))
        except OSError as err:
            raise StorageError(
                f"recordings cannot be generated in the temporary folder {folder}\n  {err}",
                "make room there, or set TMPDIR to a folder on another disk",
            ) from err
        return _survey(spec, Path(folder))


def open_built(spec: CorpusSpec, storage_spec: StorageSpec) -> Corpus:
    """The corpus at `spec.uri`, which must be built and be what the job describes; writes nothing.

    Raises:
        CorpusError: it is not built, or from other recordings or with other settings.
        StorageError: the store failed.
    """
    corpus = open_corpus(open_storage(spec.uri, storage_spec))
    if spec.recordings is None or _is_absent(spec.recordings):
        if spec.source is not None and corpus.manifest.generated:
            raise CorpusError(
                f"recordings not found: {Path(spec.source).absolute()}\n"
                f"  and the corpus at {spec.uri} was built from generated ones",
                "mend `corpus.source`, or take it out to use the generated corpus",
            )
        check_agreement(corpus.manifest, spec, None)
    else:
        sizes = source_sizes(open_adapter(spec), spec.recordings)
        check_agreement(corpus.manifest, spec, sizes)
    return corpus


def build(
    spec: CorpusSpec,
    storage_spec: StorageSpec,
    progress: Progress | None = None,
    approve: Approve | None = None,
) -> Manifest:
    """Build the corpus at `spec.uri`; recordings are generated first, where asked for and absent.

    Arguments as in `ensure_corpus`.

    Raises:
        CorpusError: no recordings, wrong ones, or another corpus is there already.
        StorageError: the store failed.
    """
    source = _source(spec)
    storage = open_storage(spec.uri, storage_spec)

    if not storage.exists(MANIFEST_PATH):
        storage.check_writable()

    def look(folder: Path) -> None:
        found = _survey(spec, folder)
        if approve is not None:
            approve(found)

    if _to_generate(spec, source) is not None:
        open_storage(str(source)).check_writable()
        generate_recordings(spec, look)
    elif not storage.exists(MANIFEST_PATH):
        look(source)
    adapter = open_adapter(spec)
    return build_corpus(adapter, spec, storage, generated=is_generated(source), progress=progress)


def _survey(spec: CorpusSpec, folder: Path) -> Survey:
    """What a corpus of the recordings in `folder` would hold."""
    here = spec.model_copy(update={"source": str(folder)})
    adapter = open_adapter(here)
    generated = is_generated(folder)
    if generated:
        _check_generated(spec, folder)
    return survey(adapter, here, generated=generated)


def _source(spec: CorpusSpec) -> Path:
    if spec.recordings is None:
        raise CorpusError(
            f"there is no corpus at {spec.uri}, and no recordings to build it from",
            "mend `corpus.uri`, or set `corpus.source` to the folder with the recordings",
        )
    return spec.recordings


def _to_generate(spec: CorpusSpec, recordings: Path) -> GenerateSpec | None:
    """Nothing where recordings are, nor in the place of real ones: `source` may be mistyped."""
    return spec.generate if spec.source is None and _is_absent(recordings) else None


def _is_absent(source: Path) -> bool:
    return not source.exists() or (source.is_dir() and not any(source.iterdir()))


def _check_generated(spec: CorpusSpec, source: Path) -> None:
    """Refuse recordings of an earlier job that asked the generator for something else."""
    if spec.generate is None or spec.source is not None:
        return
    marker = source / MARKER
    try:
        written = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise CorpusError(
            f"cannot read what was generated: {marker}\n  {err}",
            "remove that folder, and it is generated again",
        ) from err
    for key, wanted in spec.generate.model_dump(mode="json", exclude={"into"}).items():
        if written.get(key) != wanted:
            raise CorpusError(
                f"the recordings in {source} were generated with `{key}` {written.get(key)!r}\n"
                f"  `corpus.generate.{key}` says {wanted!r}",
                "remove that folder, or set `corpus.generate.into` to a new one",
            )
