"""The corpus that a job describes: opened where it is built, built where it is not."""

import json
from pathlib import Path

from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.agreement import check_agreement, source_sizes
from pricon.corpus.build import Progress, build_corpus
from pricon.corpus.generate import MARKER, generate_recordings, is_generated
from pricon.corpus.manifest import MANIFEST_PATH, Manifest
from pricon.corpus.reader import Corpus, open_corpus
from pricon.errors import CorpusError
from pricon.spec.corpus import CorpusSpec
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage


def ensure_corpus(
    spec: CorpusSpec, storage_spec: StorageSpec, progress: Progress | None = None
) -> Corpus:
    """The corpus at `spec.uri`; generated and built first, where it is not there.

    Args:
        spec: the corpus as the job describes it.
        storage_spec: the object store.
        progress: told after each unit of a build.

    Raises:
        CorpusError: what is there was built with other settings or from other recordings, or it
            cannot be built.
        StorageError: the store failed.
    """
    storage = open_storage(spec.uri, storage_spec)
    if not storage.exists(MANIFEST_PATH):
        build(spec, storage_spec, progress)
        return open_corpus(storage)
    return open_built(spec, storage_spec)


def open_built(spec: CorpusSpec, storage_spec: StorageSpec) -> Corpus:
    """The corpus at `spec.uri`, which must be built and be what the job describes; writes nothing.

    Raises:
        CorpusError: it is not built, or from other recordings or with other settings.
        StorageError: the store failed.
    """
    corpus = open_corpus(open_storage(spec.uri, storage_spec))
    if spec.source is None or _is_absent(Path(spec.source)):
        check_agreement(corpus.manifest, spec, None)
    else:
        sizes = source_sizes(open_adapter(spec), Path(spec.source))
        check_agreement(corpus.manifest, spec, sizes)
    return corpus


def build(
    spec: CorpusSpec, storage_spec: StorageSpec, progress: Progress | None = None
) -> Manifest:
    """Build the corpus at `spec.uri`; `source` is generated first, where asked for and absent.

    Raises:
        CorpusError: no recordings, wrong ones, or another corpus is there already.
        StorageError: the store failed.
    """
    if spec.source is None:
        raise CorpusError(
            f"there is no corpus at {spec.uri}, and no recordings to build it from",
            "mend `corpus.uri`, or set `corpus.source` to the folder with the recordings",
        )
    source = Path(spec.source)
    if spec.generate is not None and _is_absent(source):
        generate_recordings(spec)
    generated = is_generated(source)
    if generated:
        _check_generated(spec, source)
    storage = open_storage(spec.uri, storage_spec)
    return build_corpus(open_adapter(spec), spec, storage, generated=generated, progress=progress)


def _is_absent(source: Path) -> bool:
    return not source.exists() or (source.is_dir() and not any(source.iterdir()))


def _check_generated(spec: CorpusSpec, source: Path) -> None:
    """Refuse recordings of an earlier job that asked the generator for something else."""
    if spec.generate is None:
        return
    marker = source / MARKER
    try:
        written = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise CorpusError(f"cannot read what was generated: {marker}\n  {err}") from err
    for key, wanted in spec.generate.model_dump(mode="json").items():
        if written.get(key) != wanted:
            raise CorpusError(
                f"the recordings in {source} were generated with `{key}` {written.get(key)!r}\n"
                f"  `corpus.generate.{key}` says {wanted!r}",
                "remove that folder, or set `corpus.source` to a new one",
            )
