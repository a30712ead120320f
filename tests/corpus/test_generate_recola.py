"""Generated RECOLA: same bytes for the same seed, quirks of each layout."""

from pathlib import Path

import pytest

from pricon.corpus.generate_recola import generate_recola
from pricon.spec.corpus import GenerateSpec, RecolaLayout

LAYOUTS: tuple[RecolaLayout, ...] = ("merged", "release", "avec")


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module", params=LAYOUTS)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RecolaLayout, Path]:
    """A layout and a folder with one participant in it."""
    layout: RecolaLayout = request.param
    folder = tmp_path_factory.mktemp(layout)
    generate_recola(folder, GenerateSpec(participants=1), layout)
    return layout, folder


def test_same_seed_same_bytes(written: tuple[RecolaLayout, Path], tmp_path: Path) -> None:
    layout, folder = written
    generate_recola(tmp_path, GenerateSpec(participants=1), layout)
    assert contents(tmp_path) == contents(folder)


def test_quirks(written: tuple[RecolaLayout, Path]) -> None:
    layout, folder = written
    files = {path: data.decode() for path, data in contents(folder).items()}
    match layout:
        case "merged":
            header, *rows = files["P16.csv"].splitlines()
            assert header.startswith(",time in seconds,ComParE13_LLD_25Hz_")
            assert "audio_speech_probability_lstm_vad ," in header
            assert header.endswith(",FF2 _y,FF3 _y")
            assert ",frame_path,FM1 _x," in header
            assert len(rows) == 7501
        case "release":
            path = "RECOLA-Annotation/emotional_behaviour/valence/P16.csv"
            assert files[path].startswith("time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3 \n0.00;")
            assert files[path].splitlines()[-1].startswith("300.00;")
            assert len(files) == 2 + 4
        case "avec":
            gold = files["ratings_gold_standard/arousal/train_1.arff"].splitlines()
            assert gold[2] == "@attribute Instance_name string"
            assert gold[gold.index("@data") + 1].startswith("'train_1',0.00,")
            assert len(files) == 2 + 2 * 8


def test_halves_of_avec(tmp_path: Path) -> None:
    generate_recola(tmp_path, GenerateSpec(participants=3), "avec")
    found = (tmp_path / "ratings_gold_standard" / "arousal").iterdir()
    assert {path.stem for path in found} == {"train_1", "train_2", "dev_1"}
