"""Frames at 25 Hz: names of modalities, clocks, medians of raters."""

from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.recola_frames import (
    Frames,
    check_same_length,
    is_time,
    modality_of,
)
from pricon.corpus.adapters.table import open_table
from pricon.corpus.session import Channel, Trace
from pricon.errors import CorpusError


def frames(folder: Path, lines: list[str]) -> Frames:
    path = folder / "P16.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    table = open_table(path)
    names = {index: name for index, name in enumerate(table.columns) if name != "time"}
    return Frames(table=table, names=names)


@pytest.mark.parametrize(
    ("column", "modality"),
    [
        ("ComParE13_LLD_25Hz_F0final_sma_amean", "audio"),
        ("audio_speech_probability_lstm_vad ", "audio"),
        (" VIDEO_40_LLD_AU1", "video"),
        ("Face_detection_probability", "video"),
        ("ECG_54_LLD_x", "ecg"),
        ("EDA_62_LLD_x", "eda"),
        ("frame_path", None),
        ("FM1 _x", None),
    ],
)
def test_modality_by_name(column: str, modality: str | None) -> None:
    assert modality_of(column) == modality


@pytest.mark.parametrize("column", ["time", "time in seconds", "frameTime ", "timeStamp"])
def test_times_by_name(column: str) -> None:
    assert is_time(column)
    assert not is_time(f"{column}s of day")


def test_median_leaves_missing_raters_out(tmp_path: Path) -> None:
    some = frames(tmp_path, ["a,b,c", "1,2,9", "1,,2", ",,", "4,nan,"])
    trace = some.trace(any_length=True)
    np.testing.assert_array_equal(trace.values, [2, 1.5, np.nan, 4])
    np.testing.assert_allclose(trace.times_s, [0, 0.04, 0.08, 0.12])


def test_clock_may_start_late(tmp_path: Path) -> None:
    channel = frames(tmp_path, ["time,a", "0.08,1", "0.12,2"]).channel(any_length=True)
    np.testing.assert_allclose(channel.times_s, [0.08, 0.12])
    assert channel.features == ("a",)


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (["0", "0.04", "0.12"], r"P16\.csv:4: 0.12 s comes after 0.04 s, expected rows 0.04 s"),
        (["0", "0.01", "0.02"], r"P16\.csv:3: 0.01 s comes after 0 s, expected rows 0.04 s"),
        (["0", "", "0.08"], r"P16\.csv:3: nan s comes after 0 s, expected rows 0.04 s"),
    ],
)
def test_clocks_of_other_rates(tmp_path: Path, times: list[str], problem: str) -> None:
    some = frames(tmp_path, ["time,a", *(f"{time},1" for time in times)])
    with pytest.raises(CorpusError, match=problem):
        some.channel(any_length=True)


def test_length(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"P16\.csv:4: ends after 2 rows, expected 7501 \+/- 1"):
        frames(tmp_path, ["a", "1", "2"]).channel(any_length=False)


@pytest.mark.parametrize(("num_frames", "fits"), [(9, True), (11, True), (8, False), (12, False)])
def test_features_as_long_as_the_annotation(num_frames: int, fits: bool, tmp_path: Path) -> None:
    file = frames(tmp_path, ["a", "1"])
    times_s = np.linspace(0, 1, num_frames)
    channel = Channel(
        times_s=times_s, features=("audio.a",), values=np.zeros((num_frames, 1), np.float32)
    )
    trace = Trace(times_s=np.linspace(0, 1, 10), values=np.zeros(10))
    if fits:
        check_same_length([file], [channel], [trace])
        return
    problem = rf"P16\.csv: {num_frames} frames with features, but 10 annotated"
    with pytest.raises(CorpusError, match=problem):
        check_same_length([file], [channel], [trace])
