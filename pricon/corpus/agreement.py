"""Whether a built corpus is the one that a job describes. A corpus is never rebuilt in place."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pricon.corpus.manifest import Manifest, SourceEntry, settings_of
from pricon.corpus.session import Adapter
from pricon.corpus.unit import source_name
from pricon.errors import CorpusError
from pricon.spec.corpus import CorpusSpecBase

_SHOWN = 5


def check_agreement(
    manifest: Manifest,
    spec: CorpusSpecBase,
    sources: Mapping[str, int | str] | None,
) -> None:
    """Nothing, if the corpus was built as `spec` says, from these raw files.

    Args:
        manifest: of the corpus at `spec.uri`.
        spec: the corpus as the job describes it.
        sources: name of each raw file -> its size or its SHA-256; None where they are not here.

    Raises:
        CorpusError: they differ; names every key and file that does.
    """
    found = [*_settings(manifest, spec), *_sources(manifest, sources or {})]
    if not found:
        return
    shown = "\n".join(f"  {line}" for line in found[:_SHOWN])
    rest = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise CorpusError(
        f"the corpus at {spec.uri} is not what the job describes\n{shown}{rest}",
        "a corpus is immutable: give another `corpus.uri` to build a new one, or take back what "
        "was changed",
    )


def source_sizes(adapter: Adapter, folder: Path | None) -> dict[str, int | str]:
    """Name of each raw file -> its size in bytes, without reading the files."""
    paths = {path for unit in adapter.units() for path in unit.paths}
    return {source_name(path, folder): path.stat().st_size for path in paths}


def source_hashes(sources: tuple[SourceEntry, ...]) -> dict[str, int | str]:
    """Name of each raw file -> its SHA-256."""
    return {source.name: source.sha256 for source in sources}


def _settings(manifest: Manifest, spec: CorpusSpecBase) -> Iterator[str]:
    wanted = {**settings_of(spec), **spec.model_dump(mode="json", include={"adapter", "windows"})}
    windows = manifest.windows.model_dump(mode="json")
    built = {**manifest.settings, "adapter": manifest.adapter, "windows": windows}
    if spec.source is None and spec.generate is not None and manifest.generate is not None:
        wanted["generate"] = spec.generate.model_dump(mode="json", exclude={"into"})
        built["generate"] = manifest.generate.model_dump(mode="json", exclude={"into"})
    if built.pop("reader", None) != wanted.pop("reader", None):
        yield "it was built by a version of pricon that reads recordings otherwise"
    for key in sorted({*wanted, *built}):
        if wanted.get(key) != built.get(key):
            yield (
                f"`corpus.{key}`: built with {built.get(key)!r}, the job says {wanted.get(key)!r}"
            )


def _sources(manifest: Manifest, sources: Mapping[str, int | str]) -> Iterator[str]:
    if not sources:
        return
    built = {source.name: source for source in manifest.sources}
    for name in sorted({*built, *sources}):
        if name not in sources:
            yield f"recording {name}: was built in, is not in `corpus.source` now"
        elif name not in built:
            yield f"recording {name}: is in `corpus.source`, was not built in"
        elif sources[name] not in {built[name].num_bytes, built[name].sha256}:
            yield f"recording {name}: other bytes than those built in"
