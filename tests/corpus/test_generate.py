"""Generated recordings: the same bytes, all the quirks, and the two worlds."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.adapters.recola_layouts import find_layout
from pricon.corpus.generate import generate_recordings, is_generated
from pricon.corpus.windows import cut
from pricon.errors import CorpusError
from pricon.spec.corpus import (
    AgainDerivedSpec,
    AgainSpec,
    CorpusSpec,
    GenerateSpec,
    RecolaLayout,
    RecolaSpec,
)

MARGIN = 0.05


def into(folder: Path, generate: GenerateSpec) -> GenerateSpec:
    return generate.model_copy(update={"into": str(folder)})


def again(folder: Path, generate: GenerateSpec | None = None, *stimuli: str) -> AgainSpec:
    return AgainSpec(
        adapter="again",
        uri="x",
        generate=into(folder, generate or GenerateSpec(participants=2, session_s=20)),
        stimuli=stimuli,
    )


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def accuracies(spec: CorpusSpec, available: str) -> dict[str, float]:
    """Accuracy on unseen participants of a linear model on some modalities."""
    adapter = open_adapter(spec)
    features, labels, people = [], [], []
    for session in (session for unit in adapter.units() for session in adapter.sessions(unit)):
        windows = cut(session, spec.windows)
        height = windows.affect["arousal"] - windows.trace_mean["arousal"]
        kept = np.abs(height) > MARGIN
        features.append(windows.features[kept])
        labels.append(height[kept] > 0)
        people += [session.participant] * int(kept.sum())
    values = np.concatenate(features)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=0))
    names = np.array(adapter.features())
    theirs = np.array([name.startswith(available) for name in names])

    def accuracy(columns: NDArray[np.bool_]) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
        scores = cross_val_score(
            model, values[:, columns], np.concatenate(labels), groups=people, cv=GroupKFold(5)
        )
        return float(scores.mean())

    return {"available": accuracy(known & theirs), "all": accuracy(known)}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        generate = GenerateSpec(participants=2, session_s=20, seed=seed)
        generate_recordings(again(tmp_path / name, generate))
    one, two, three = (digests(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert {*one.values()}.isdisjoint(three.values())


def test_privileged_modalities_help(tmp_path: Path) -> None:
    spec = again(tmp_path / "raw", GenerateSpec())
    generate_recordings(spec)
    found = accuracies(spec, "frames.")
    assert 0.58 < found["available"] < 0.72
    assert 0.72 < found["all"] < 0.87
    assert found["all"] - found["available"] > 0.08


def test_world_in_which_privileged_modalities_carry_nothing(tmp_path: Path) -> None:
    spec = again(tmp_path / "raw", GenerateSpec(privileged_signal=0))
    generate_recordings(spec)
    found = accuracies(spec, "frames.")
    assert 0.58 < found["available"] < 0.72
    assert found["all"] < found["available"] + 0.02


def test_available_modality_can_carry_nothing(tmp_path: Path) -> None:
    spec = again(tmp_path / "raw", GenerateSpec(available_signal=0))
    generate_recordings(spec)
    assert accuracies(spec, "frames.")["available"] < 0.56


def test_privileged_modalities_help_in_recola(tmp_path: Path) -> None:
    spec = RecolaSpec(
        adapter="recola",
        uri="x",
        generate=into(tmp_path / "raw", GenerateSpec(participants=5)),
    )
    generate_recordings(spec)
    found = accuracies(spec, "audio.")
    assert found["all"] - found["available"] > 0.08


def test_generated_recordings_say_so(tmp_path: Path) -> None:
    generate_recordings(again(tmp_path / "raw", None, "Heist!"))
    assert is_generated(tmp_path / "raw")
    assert not is_generated(tmp_path)
    settings = json.loads((tmp_path / "raw" / "GENERATED.json").read_text())
    assert settings["seed"] == 0
    assert settings["stimuli"] == ["Heist!"]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_empty_folder_is_filled_and_a_full_one_left_alone(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    generate_recordings(again(tmp_path / "raw"))
    before = digests(tmp_path / "raw")
    with pytest.raises(CorpusError, match=r"not overwritten: .*raw is there already"):
        generate_recordings(again(tmp_path / "raw", GenerateSpec(seed=5)))
    assert digests(tmp_path / "raw") == before


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="unknown game `chess`"):
        generate_recordings(again(tmp_path / "raw", None, "chess"))
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="recordings cannot be written to"):
        generate_recordings(again(tmp_path / "file" / "raw"))


def test_real_corpora_are_not_generated(tmp_path: Path) -> None:
    spec = AgainDerivedSpec(
        adapter="again_derived",
        uri="x",
        generate=into(tmp_path / "raw", GenerateSpec()),
    )
    with pytest.raises(CorpusError, match="no generator for `again_derived`"):
        generate_recordings(spec)


def test_nothing_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nothing to generate for x"):
        generate_recordings(AgainSpec(adapter="again", uri="x"))
    real = again(tmp_path / "raw").model_copy(update={"source": str(tmp_path / "mine")})
    with pytest.raises(CorpusError, match=r"`corpus\.source` names recordings, .*mine"):
        generate_recordings(real)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["merged", "release", "avec", None])
def test_a_job_chooses_the_layout_of_recola(layout: RecolaLayout | None, tmp_path: Path) -> None:
    generate = into(tmp_path / "raw", GenerateSpec(participants=2, layout=layout))
    spec = RecolaSpec(adapter="recola", generate=generate)
    generate_recordings(spec)
    assert find_layout(tmp_path / "raw").__class__.__name__.lower() == (layout or "merged")


def test_again_has_one_layout(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"`generate\.layout` is for RECOLA"):
        again(tmp_path, GenerateSpec(layout="avec"))
