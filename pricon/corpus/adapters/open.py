"""From the corpus in a job to the adapter that reads its recordings."""

from pathlib import Path

from pricon.corpus.adapters.again import AgainAdapter
from pricon.corpus.adapters.again_derived import AgainDerivedAdapter
from pricon.corpus.adapters.recola import RecolaAdapter
from pricon.corpus.session import Adapter
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainDerivedSpec, AgainSpec, CorpusSpec, RecolaSpec


def open_adapter(spec: CorpusSpec) -> Adapter:
    """The adapter for the recordings of a job; reads nothing yet.

    Raises:
        CorpusError: there is no such folder, or it does not hold what the job says.
    """
    source = _source(spec)
    match spec:
        case AgainSpec():
            return AgainAdapter(spec, source)
        case AgainDerivedSpec():
            return AgainDerivedAdapter(spec, source)
        case RecolaSpec():
            return RecolaAdapter(spec, source)


def _source(spec: CorpusSpec) -> Path:
    source = spec.recordings
    if source is None:
        raise CorpusError(
            f"no recordings to build {spec.uri} from: `corpus.source` is not given",
            "set `corpus.source` to the folder with the recordings",
        )
    if not source.exists():
        raise CorpusError(
            f"recordings not found: {source.absolute()}",
            "set `corpus.source` to the folder with the recordings, or take it out and set "
            "`corpus.generate` for generated ones",
        )
    if not source.is_dir():
        raise CorpusError(
            f"recordings are not a folder: {source.absolute()}",
            "set `corpus.source` to the folder that holds the files",
        )
    return source
