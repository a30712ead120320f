"""Frame features: one file a session, all alike, with times that rise."""

from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.again_frames import find_frames
from pricon.errors import CorpusError


def write(folder: Path, stem: str, text: str) -> None:
    (folder / f"{stem}.csv").write_text(text)


def test_channel(tmp_path: Path) -> None:
    write(tmp_path, "A_fps_s1", "time_s,light, light ,flow\n0,1,2,3\n0.5,4,,6\n")
    frames = find_frames(tmp_path)
    (channel,) = frames.channels("A_fps_s1")
    assert channel.features == ("frames.light", "frames.light_2", "frames.flow") == frames.names
    np.testing.assert_array_equal(channel.times_s, [0, 0.5])
    np.testing.assert_array_equal(channel.values, [[1, 2, 3], [4, np.nan, 6]])


def test_frames_before_the_annotation_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "A_fps_s1", "time_s,light\n0,1\n2.5,2\n3,3\n3.5,4\n")
    (channel,) = find_frames(tmp_path, offset_s=3).channels("A_fps_s1")
    np.testing.assert_array_equal(channel.times_s, [0, 0.5])
    np.testing.assert_array_equal(channel.values, [[3], [4]])


def test_no_folder_no_channel(tmp_path: Path) -> None:
    frames = find_frames(tmp_path / "frames")
    assert (frames.files, frames.names, frames.channels("A_fps_s1")) == ((), (), ())


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=rf"no frame features in {tmp_path}: expected a file a"):
        find_frames(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("light,flow\n0,1\n", r"A_fps_s1\.csv:1: first column is `light`, expected `time_s`"),
        ("time_s,light\n0,1\n0,2\n", r"A_fps_s1\.csv:3: `time_s` is 0, expected a time after"),
        ("time_s,light\nsoon,1\n", r"A_fps_s1\.csv:2: `time_s` is nan, expected a time after"),
        ("time_s,light\n0,1\n1,2", r"A_fps_s1\.csv:3: the file ends inside a line"),
        ("time_s,light\n0,1\n1\n", r"A_fps_s1\.csv:3: 1 cells, expected 2"),
        ("time_s,light\n", r"A_fps_s1\.csv: no rows, expected some from line 2"),
        ("", r"A_fps_s1\.csv:1: no header"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, "A_fps_s1", text)
    with pytest.raises(CorpusError, match=problem):
        find_frames(tmp_path).channels("A_fps_s1")


def test_files_that_differ(tmp_path: Path) -> None:
    write(tmp_path, "A_fps_s1", "time_s,light\n0,1\n")
    write(tmp_path, "A_fps_s2", "time_s,flow\n0,1\n")
    with pytest.raises(CorpusError, match=r"s2\.csv:1: features differ from those of A_fps_s1"):
        find_frames(tmp_path).channels("A_fps_s2")
