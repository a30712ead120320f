"""Which layout a folder has, and where each keeps what; nothing here reads rows."""

from pathlib import Path

import pytest

from pricon.corpus.adapters.recola_layouts import Avec, Merged, Release, find_layout
from pricon.errors import CorpusError

RATERS = "FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3 "
ANNOTATION = "RECOLA-Annotation/emotional_behaviour"


def write(path: Path, header: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{header}\n")


def arff(path: Path, *attributes: str) -> None:
    write(path, "\n".join([*(f"@attribute {name} numeric" for name in attributes), "@data"]))


def merged(folder: Path, who: str = "P16") -> None:
    raters = [f"{name}_{axis}" for axis in "xy" for name in RATERS.split(";")]
    header = ["", "time in seconds", "VIDEO_40_LLD_AU1 ", "frame_path", *raters]
    write(folder / f"{who}.csv", ",".join(header))


def release(folder: Path, who: str = "P16") -> None:
    for affect in ("arousal", "valence"):
        write(folder / ANNOTATION / affect / f"{who}.csv", f"time;{RATERS}")
    write(folder / "audio" / f"{who}.csv", "time;ComParE13_LLD_a;audio_speech_probability")
    write(folder / "ECG" / f"{who}.csv", "time in seconds,ECG_54_LLD_a")
    write(folder / "recordings" / f"{who}.csv", "time;EDA;ECG")


def avec(folder: Path, who: str = "train_1") -> None:
    for affect in ("arousal", "valence"):
        gold = folder / "ratings_gold_standard" / affect / f"{who}.arff"
        arff(gold, "Instance_name", "frameTime", "GoldStandard")
        arff(folder / "features_EDA" / affect / f"{who}.arff", "name", "frameTime", "mean", "std")
        arff(folder / "features_SCL" / affect / f"{who}.arff", "Name", "CLASS", "mean", "slope")


def test_layouts_are_told_apart(tmp_path: Path) -> None:
    merged(tmp_path / "a")
    release(tmp_path / "b")
    avec(tmp_path / "c")
    assert isinstance(find_layout(tmp_path / "a"), Merged)
    assert isinstance(find_layout(tmp_path / "b"), Release)
    assert isinstance(find_layout(tmp_path / "c"), Avec)


def test_no_layout(tmp_path: Path) -> None:
    (tmp_path / "Participants.csv").touch()
    problem = r"no recordings of RECOLA in .*`P16.csv`.*emotional_behaviour.*ratings_gold_standard"
    with pytest.raises(CorpusError, match=problem):
        find_layout(tmp_path)


def test_participants_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for who in ("P16", "P9", "P105"):
        merged(tmp_path / "a", who)
    assert find_layout(tmp_path / "a").participants() == ["P9", "P16", "P105"]
    for who in ("train_1", "train_10", "train_2", "dev_1", "test_1"):
        avec(tmp_path / "c", who)
    assert find_layout(tmp_path / "c").participants() == ["dev_1", "train_1", "train_2", "train_10"]


def test_merged(tmp_path: Path) -> None:
    merged(tmp_path)
    layout = find_layout(tmp_path)
    (features,) = layout.features("P16")
    assert features.names == {2: "video.VIDEO_40_LLD_AU1"}
    raters = layout.raters("P16")
    assert [*raters["arousal"].names] == [4, 5, 6, 7, 8, 9]
    assert [*raters["valence"].names] == [10, 11, 12, 13, 14, 15]


def test_release_finds_features_by_their_columns(tmp_path: Path) -> None:
    release(tmp_path)
    layout = find_layout(tmp_path)
    found = {frames.table.path.parent.name: frames.names for frames in layout.features("P16")}
    assert found == {
        "ECG": {1: "ecg.ECG_54_LLD_a"},
        "audio": {1: "audio.ComParE13_LLD_a", 2: "audio.audio_speech_probability"},
    }
    assert [*layout.raters("P16")["valence"].names] == [1, 2, 3, 4, 5, 6]
    assert len(layout.paths("P16")) == 4


def test_release_without_features(tmp_path: Path) -> None:
    release(tmp_path)
    for folder in ("audio", "ECG"):
        (tmp_path / folder / "P16.csv").unlink()
    with pytest.raises(CorpusError, match=r"no features of P16 in .* `ComParE13_LLD\*`"):
        find_layout(tmp_path).features("P16")


def test_release_with_a_rater_missing(tmp_path: Path) -> None:
    release(tmp_path)
    path = tmp_path / ANNOTATION / "arousal" / "P16.csv"
    write(path, f"time;{RATERS.replace('FF2 ;', '')}")
    with pytest.raises(CorpusError, match=r"arousal/P16\.csv:1: 5 raters of arousal, expected 6"):
        find_layout(tmp_path).raters("P16")


def test_avec_names_each_feature_once(tmp_path: Path) -> None:
    avec(tmp_path)
    layout = find_layout(tmp_path)
    eda, scl = layout.features("train_1")
    assert eda.names == {2: "eda.mean", 3: "eda.std"}
    assert scl.names == {2: "eda.features_SCL.mean", 3: "eda.slope"}
    assert eda.table.path.parent.name == "arousal"
    assert layout.raters("train_1")["valence"].names == {2: "valence"}


def test_avec_without_features(tmp_path: Path) -> None:
    gold = tmp_path / "ratings_gold_standard" / "arousal" / "train_1.arff"
    arff(gold, "GoldStandard")
    with pytest.raises(CorpusError, match=r"no features in .* folders such as `features_audio`"):
        find_layout(tmp_path).features("train_1")


def test_avec_gold_standard_of_another_name(tmp_path: Path) -> None:
    avec(tmp_path)
    arff(tmp_path / "ratings_gold_standard" / "valence" / "train_1.arff", "Gold_Standard")
    with pytest.raises(CorpusError, match=r"no column `GoldStandard` .* nearest is `Gold_Stand"):
        find_layout(tmp_path).raters("train_1")
