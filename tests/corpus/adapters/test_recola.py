"""RECOLA in its three layouts: the same recordings come out, damages are told."""

from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.adapters.recola import RecolaAdapter
from pricon.corpus.generate_recola import generate_recola
from pricon.corpus.session import Session
from pricon.corpus.windows import cut
from pricon.errors import CorpusError
from pricon.spec.corpus import GenerateSpec, RecolaLayout, RecolaSpec, WindowSpec

LAYOUTS: tuple[RecolaLayout, ...] = ("merged", "release", "avec")
RATERS = ("FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3 ")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two people, in each layout."""
    folders: dict[str, Path] = {}
    for layout in LAYOUTS:
        folders[layout] = tmp_path_factory.mktemp(layout)
        generate_recola(folders[layout], GenerateSpec(participants=2), layout)
    return folders


def adapter(folder: Path, *, any_length: bool = False) -> RecolaAdapter:
    spec = RecolaSpec(adapter="recola", uri="x", source=str(folder), any_length=any_length)
    opened = open_adapter(spec)
    assert isinstance(opened, RecolaAdapter)
    return opened


def read(opened: RecolaAdapter) -> list[Session]:
    return [session for unit in opened.units() for session in opened.sessions(unit)]


def merged_header() -> list[str]:
    features = [
        "ComParE13_LLD_25Hz_F0final_sma_amean",
        "audio_speech_probability_lstm_vad ",
        "VIDEO_40_LLD_AU1",
        "Face_detection_probability",
        "ECG_54_LLD_mean",
        "EDA_62_LLD_mean",
    ]
    raters = [f"{rater}_{axis}" for axis in "xy" for rater in RATERS]
    return ["", "time in seconds", *features, "frame_path", *raters]


def write_merged(
    folder: Path, num_rows: int = 7501, header: list[str] | None = None, step_s: float = 0.04
) -> Path:
    path = folder / "P16.csv"
    names = header or merged_header()
    raters = [name for name in names if name.endswith(("_x", "_y"))]
    middle = ",".join(["0.5"] * (len(names) - len(raters) - 3))
    rated = ",".join(str(0.1 * (index % 6)) for index in range(len(raters)))
    with path.open("w") as file:
        file.write(",".join(names) + "\n")
        for row in range(num_rows):
            file.write(f"{row},{row * step_s:.2f},{middle},{row}.png,{rated}\n")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sessions(recordings: dict[str, Path], layout: str) -> None:
    opened = adapter(recordings[layout])
    sessions = read(opened)
    names = ["dev_1", "train_1"] if layout == "avec" else ["P16", "P17"]
    assert [session.participant for session in sessions] == names
    assert [unit.name for unit in opened.units()] == names
    assert {session.stimulus for session in sessions} == {"recola"}
    assert opened.modalities() == {
        "audio": ["audio.*"],
        "video": ["video.*"],
        "ecg": ["ecg.*"],
        "eda": ["eda.*"],
    }
    widths = {"audio": 20, "video": 15, "ecg": 8, "eda": 8}
    for modality, width in widths.items():
        found = [name for name in opened.features() if name.startswith(f"{modality}.")]
        assert len(found) == width
    for session in sessions:
        assert {*session.traces} == {"arousal", "valence"}
        clocks = [trace.times_s for trace in session.traces.values()]
        for times_s in [*clocks, *(channel.times_s for channel in session.channels)]:
            assert len(times_s) == 7501
            assert times_s[-1] == pytest.approx(300)
        windows = cut(session, WindowSpec(window_s=4, hop_s=0.4))
        assert windows.feature_names == opened.features()
        assert windows.features.shape == (741, 1, 51)
        assert np.isfinite(windows.features).all()


def test_layouts_agree(recordings: dict[str, Path]) -> None:
    merged, release, avec = (read(adapter(recordings[layout])) for layout in LAYOUTS)
    for affect in ("arousal", "valence"):
        for one, other in zip(merged, release, strict=True):
            np.testing.assert_array_equal(one.traces[affect].values, other.traces[affect].values)
        np.testing.assert_allclose(
            merged[0].traces[affect].values, avec[1].traces[affect].values, atol=1e-4
        )
    windows = WindowSpec(window_s=4, hop_s=0.4)
    first, second = cut(merged[0], windows), cut(release[0], windows)
    order = [second.feature_names.index(name) for name in first.feature_names]
    np.testing.assert_array_equal(first.features, second.features[:, :, order])
    audio = merged[0].channels[0].values[:, :20]
    np.testing.assert_array_equal(audio, avec[1].channels[0].values)


def test_units_hold_all_files(recordings: dict[str, Path]) -> None:
    counts = {layout: len(adapter(recordings[layout]).units()[0].paths) for layout in LAYOUTS}
    assert counts == {"merged": 1, "release": 2 + 4, "avec": 2 + 8}


def test_names_and_median_of_raters(tmp_path: Path) -> None:
    write_merged(tmp_path)
    (session,) = read(adapter(tmp_path))
    assert session.channels[0].features == (
        "audio.ComParE13_LLD_25Hz_F0final_sma_amean",
        "audio.audio_speech_probability_lstm_vad",
        "video.VIDEO_40_LLD_AU1",
        "video.Face_detection_probability",
        "ecg.ECG_54_LLD_mean",
        "eda.EDA_62_LLD_mean",
    )
    np.testing.assert_allclose(session.traces["arousal"].values, 0.25)


@pytest.mark.parametrize("num_rows", [7500, 7502])
def test_one_row_more_or_less_is_five_minutes(tmp_path: Path, num_rows: int) -> None:
    write_merged(tmp_path, num_rows)
    assert len(read(adapter(tmp_path))[0].traces["arousal"].times_s) == num_rows


def test_other_lengths_are_refused_unless_allowed(tmp_path: Path) -> None:
    write_merged(tmp_path, 7000)
    problem = r"P16\.csv:7002: ends after 7000 rows, expected 7501(.|\n)*`corpus.any_length: true`"
    with pytest.raises(CorpusError, match=problem):
        read(adapter(tmp_path))
    assert len(read(adapter(tmp_path, any_length=True))[0].channels[0].times_s) == 7000


def test_other_rates_are_refused(tmp_path: Path) -> None:
    write_merged(tmp_path, 7501, step_s=0.1)
    with pytest.raises(CorpusError, match=r"P16\.csv:3: 0.1 s comes after 0 s, expected rows 0.04"):
        read(adapter(tmp_path, any_length=True))


def test_missing_rater(tmp_path: Path) -> None:
    write_merged(tmp_path, header=[name for name in merged_header() if name != "FF2 _y"])
    with pytest.raises(CorpusError, match=r"P16\.csv:1: 5 raters of valence, expected 6"):
        read(adapter(tmp_path))


def test_blank_before_the_axis_is_optional(tmp_path: Path) -> None:
    write_merged(tmp_path, header=[name.replace(" _", "_") for name in merged_header()])
    assert len(read(adapter(tmp_path))) == 1


def test_cut_file(tmp_path: Path) -> None:
    path = write_merged(tmp_path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CorpusError, match=r"P16\.csv:7502: the file ends inside a line"):
        read(adapter(tmp_path))


def test_participants_must_have_the_same_features(tmp_path: Path) -> None:
    write_merged(tmp_path).rename(tmp_path / "P9.csv")
    write_merged(tmp_path, header=[name.replace("_AU1", "_AU2") for name in merged_header()])
    with pytest.raises(
        CorpusError, match=r"P16\.csv: not the features of .* video.VIDEO_40_LLD_AU1"
    ):
        read(adapter(tmp_path))


def copied(source: Path, target: Path) -> Path:
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def shorten(path: Path, keep: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:keep]))


def test_arff_of_wrong_length(recordings: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(recordings["avec"], tmp_path)
    shorten(folder / "features_EDA" / "arousal" / "train_1.arff", 5000)
    with pytest.raises(CorpusError, match=r"features_EDA/arousal/train_1\.arff:5001: ends after"):
        read(adapter(folder))
    problem = r"features_EDA/arousal/train_1\.arff: 4991 frames with features, but 7501 annotated"
    with pytest.raises(CorpusError, match=problem):
        read(adapter(folder, any_length=True))


@pytest.mark.parametrize(
    ("layout", "missing"),
    [
        ("avec", "features_ECG/arousal/dev_1.arff"),
        ("avec", "ratings_gold_standard/valence/dev_1.arff"),
        ("release", "RECOLA-Annotation/emotional_behaviour/valence/P16.csv"),
    ],
)
def test_missing_file(
    recordings: dict[str, Path], tmp_path: Path, layout: str, missing: str
) -> None:
    folder = copied(recordings[layout], tmp_path)
    (folder / missing).unlink()
    with pytest.raises(CorpusError, match=f"{missing} is missing"):
        adapter(folder).units()


def test_frames_of_a_row_and_no_finer(tmp_path: Path) -> None:
    adapter(tmp_path).check_windows(WindowSpec(window_s=4, hop_s=0.4, frames=100))
    with pytest.raises(CorpusError, match=r"expected 0\.04 s or more"):
        adapter(tmp_path).check_windows(WindowSpec(window_s=4, hop_s=0.4, frames=101))
