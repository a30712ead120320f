"""From a job to the adapter, and what is said where there are no recordings."""

import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pricon.corpus.adapters.again import AgainAdapter
from pricon.corpus.adapters.again_derived import AgainDerivedAdapter
from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.adapters.recola import RecolaAdapter
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainSpec, CorpusSpec

ADAPTERS = [
    ("again", AgainAdapter, ("arousal",)),
    ("again_derived", AgainDerivedAdapter, ("arousal",)),
    ("recola", RecolaAdapter, ("arousal", "valence")),
]


@pytest.mark.parametrize(("name", "kind", "affects"), ADAPTERS)
def test_each_corpus_has_its_adapter(
    tmp_path: Path, name: str, kind: type, affects: tuple[str, ...]
) -> None:
    corpus: TypeAdapter[CorpusSpec] = TypeAdapter(CorpusSpec)
    spec = corpus.validate_python({"adapter": name, "uri": "x", "source": str(tmp_path)})
    adapter = open_adapter(spec)
    assert isinstance(adapter, kind)
    assert adapter.affects == affects
    assert isinstance(pickle.loads(pickle.dumps(adapter)), kind)


@pytest.mark.parametrize(
    ("name", "problem"), [("nowhere", "recordings not found"), ("file", "are not a folder")]
)
def test_source_that_is_no_folder(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").touch()
    spec = AgainSpec(adapter="again", uri="x", source=str(tmp_path / name))
    match = rf"{problem}: {tmp_path}/{name}\n\nhint: set `corpus.source`"
    with pytest.raises(CorpusError, match=match):
        open_adapter(spec)


def test_relative_source_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match=rf"recordings not found: {tmp_path}/raw"):
        open_adapter(AgainSpec(adapter="again", uri="x", source="raw"))


def test_no_source() -> None:
    with pytest.raises(
        CorpusError, match=r"no recordings to build corpora/x from: `corpus.source`"
    ):
        open_adapter(AgainSpec(adapter="again", uri="corpora/x"))
