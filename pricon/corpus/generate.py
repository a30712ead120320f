"""Generated recordings: written once, whole or not at all, and recognisable for ever.

The folder gets a file `GENERATED.json` with the settings; whoever reports on it finds it there.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pricon.corpus.generate_again import generate_again
from pricon.corpus.generate_recola import generate_recola
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainDerivedSpec, AgainSpec, CorpusSpec, GenerateSpec, RecolaSpec

MARKER = "GENERATED.json"


def generate_recordings(spec: CorpusSpec, check: Callable[[Path], None] | None = None) -> None:
    """Write the recordings that `spec.generate` describes into `spec.generate.into`.

    They are written beside it and moved there when complete, so an interruption leaves no folder
    that looks like recordings.

    Args:
        spec: the corpus as the job describes it.
        check: told where they lie before they are moved; where it raises, nothing stays.

    Raises:
        CorpusError: the job does not ask for it, the folder holds something, or it cannot be
            written.
    """
    if spec.source is not None:
        raise CorpusError(
            f"nothing to generate: `corpus.source` names recordings, {spec.source}",
            "take `corpus.source` out",
        )
    if spec.generate is None or spec.recordings is None:
        raise CorpusError(f"nothing to generate for {spec.uri}", "set `corpus.generate`")
    source = spec.recordings.absolute()
    if source.exists() and (not source.is_dir() or any(source.iterdir())):
        raise CorpusError(
            f"not overwritten: {source} is there already and is not an empty folder",
            "remove it, or set `corpus.generate.into` to a new folder",
        )
    try:
        with (
            _parents(source),
            TemporaryDirectory(prefix=f".{source.name}.", dir=source.parent) as partial,
        ):
            folder = Path(partial) / "recordings"
            folder.mkdir()
            write_recordings(spec, spec.generate, folder)
            if check is not None:
                check(folder)
            folder.rename(source)
    except OSError as err:
        raise CorpusError(
            f"recordings cannot be written to {source}: {err}",
            "make room there, or set `corpus.generate.into` to a folder that you may write to",
        ) from err


def is_generated(source: Path) -> bool:
    """Whether the recordings in a folder were written by `generate_recordings`."""
    return (source / MARKER).is_file()


def write_recordings(spec: CorpusSpec, generate: GenerateSpec, folder: Path) -> None:
    """Write recordings in the layout of `spec.adapter` into an empty folder.

    Raises:
        CorpusError: there is no generator for that layout.
    """
    settings: dict[str, object] = {
        "adapter": spec.adapter,
        **generate.model_dump(exclude={"into"}),
    }
    match spec:
        case AgainSpec():
            settings["stimuli"] = list(spec.stimuli)
            generate_again(folder, generate, spec.stimuli)
        case RecolaSpec():
            generate_recola(folder, generate, generate.layout or "merged")
        case AgainDerivedSpec():
            raise CorpusError(
                "no generator for `again_derived`: it exists as real recordings only",
                "remove `corpus.generate`, or set `corpus.adapter: again`",
            )
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (folder / MARKER).write_text(text, encoding="utf-8")


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """The folders above `path` are there; those that were not are removed again after an error."""
    created = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in created:
            with suppress(OSError):  # not made yet, or somebody else has put something into it
                parent.rmdir()
        raise
