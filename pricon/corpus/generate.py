"""Generated recordings: written once, whole or not at all, and recognisable for ever.

The folder gets a file `GENERATED.json` with the settings; whoever reports on it finds it there.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from pricon.corpus.generate_again import generate_again
from pricon.corpus.generate_recola import generate_recola
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainDerivedSpec, AgainSpec, CorpusSpec, GenerateSpec, RecolaSpec

MARKER = "GENERATED.json"


def generate_recordings(spec: CorpusSpec) -> None:
    """Write the recordings that `spec.generate` describes into `spec.source`.

    They are written beside it and moved there when complete, so an interruption leaves no folder
    that looks like recordings.

    Raises:
        CorpusError: the job does not ask for it, the folder holds something, or it cannot be
            written.
    """
    if spec.generate is None or spec.source is None:
        raise CorpusError(
            f"nothing to generate for {spec.uri}",
            "set `corpus.generate` and `corpus.source`",
        )
    source = Path(spec.source).absolute()
    if source.exists() and (not source.is_dir() or any(source.iterdir())):
        raise CorpusError(
            f"not overwritten: {source} is there already and is not an empty folder",
            "remove it, or set `corpus.source` to a new folder",
        )
    try:
        source.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{source.name}.", dir=source.parent) as partial:
            folder = Path(partial) / "recordings"
            folder.mkdir()
            _write(spec, spec.generate, folder)
            folder.rename(source)
    except OSError as err:
        raise CorpusError(f"recordings cannot be written to {source}: {err}") from err


def is_generated(source: Path) -> bool:
    """Whether the recordings in a folder were written by `generate_recordings`."""
    return (source / MARKER).is_file()


def _write(spec: CorpusSpec, generate: GenerateSpec, folder: Path) -> None:
    settings: dict[str, object] = {"adapter": spec.adapter, **generate.model_dump()}
    match spec:
        case AgainSpec():
            settings["stimuli"] = list(spec.stimuli)
            generate_again(folder, generate, spec.stimuli)
        case RecolaSpec():
            generate_recola(folder, generate, "merged")
        case AgainDerivedSpec():
            raise CorpusError(
                "no generator for `again_derived`: it exists as real recordings only",
                "remove `corpus.generate`, or set `corpus.adapter: again`",
            )
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (folder / MARKER).write_text(text, encoding="utf-8")
