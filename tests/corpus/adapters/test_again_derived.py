"""The derivative of AGAIN: its real files, and what is said about damaged ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.again_derived import AgainDerivedAdapter
from pricon.corpus.session import Session
from pricon.corpus.windows import cut
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainDerivedSpec, WindowSpec
from tests.corpora import real_corpus

HEADER = "[control]player_id,Time_Index,playerScore, botDeltaRotation ,Cluster,[output]arousal"
WINDOWS = WindowSpec(window_s=3, hop_s=3)


def adapter(folder: Path, *stimuli: str) -> AgainDerivedAdapter:
    spec = AgainDerivedSpec(adapter="again_derived", uri="x", source=str(folder), stimuli=stimuli)
    return AgainDerivedAdapter(spec, folder)


def read(opened: AgainDerivedAdapter) -> list[Session]:
    return [session for unit in opened.units() for session in opened.sessions(unit)]


def write(folder: Path, rows: Sequence[str], game: str = "Heist", header: str = HEADER) -> Path:
    path = folder / f"{game}_3000ms_nonorm_with_clusters.csv"
    path.write_text("".join(f"{line}\n" for line in [header, *rows]))
    return path


def test_real_files_become_one_window_a_row() -> None:
    opened = adapter(real_corpus("again_derived"))
    assert [unit.name for unit in opened.units()] == ["heist", "pirates", "solid"]
    windows: dict[str, int] = {}
    players: dict[str, set[str]] = {}
    for session in read(opened):
        rows = cut(session, WINDOWS)
        assert np.isfinite(rows.features).all()
        assert rows.affect["arousal"].min() == 0
        windows[session.stimulus] = windows.get(session.stimulus, 0) + len(rows.t_start_s)
        players.setdefault(session.stimulus, set()).add(session.participant)
    assert windows == {"heist": 5008, "pirates": 4840, "solid": 4955}
    assert {game: len(who) for game, who in players.items()} == {
        "heist": 122,
        "pirates": 122,
        "solid": 121,
    }


def test_real_features_have_no_shortcut_among_them() -> None:
    features = adapter(real_corpus("again_derived"), "Heist").features()
    assert len(features) == 32
    assert "botDeltaRotation" in features
    assert not {"Cluster", "Time_Index", "[output]arousal", "[control]player_id"} & {*features}


def test_features_of_all_games_each_once(tmp_path: Path) -> None:
    write(tmp_path, ["A,0,1,2,0,0.5"])
    header = HEADER.replace("playerScore", "playerLap")
    write(tmp_path, ["A,0,3,4,0,0.5"], "Solid", header)
    opened = adapter(tmp_path)
    assert opened.features() == ("playerScore", "botDeltaRotation", "playerLap")
    heist, solid = read(opened)
    assert heist.id == "A_heist"
    assert solid.id == "A_solid"
    assert heist.participant == solid.participant == "A"
    assert solid.channels[0].features == ("playerLap", "botDeltaRotation")
    np.testing.assert_array_equal(solid.channels[0].values, [[3, 4]])


def test_gaps_in_the_steps_are_gaps_in_time(tmp_path: Path) -> None:
    write(tmp_path, [f"A,{step},{step},0,0,0.{step}" for step in (0, 1, 4, 5)])
    (session,) = read(adapter(tmp_path))
    np.testing.assert_array_equal(session.channels[0].times_s, [0, 3, 12, 15])
    rows = cut(session, WindowSpec(window_s=3, hop_s=3, lag_s=3))
    np.testing.assert_array_equal(rows.t_start_s, [3, 15])
    np.testing.assert_array_equal(rows.features[:, 0, 0], [0, 4])


@pytest.mark.parametrize("name", ["pirates", "Pirates!", "PIRATES"])
def test_games_in_any_spelling(tmp_path: Path, name: str) -> None:
    for game in ("Heist", "Pirates"):
        write(tmp_path, ["A,0,1,2,0,0.5"], game)
    assert [unit.name for unit in adapter(tmp_path, name).units()] == ["pirates"]


def test_unknown_game_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, ["A,0,1,2,0,0.5"])
    with pytest.raises(CorpusError, match=r"unknown game `Heits`(.|\n)*did you mean `heist`"):
        adapter(tmp_path, "Heits").units()


@pytest.mark.parametrize(
    ("window_s", "hop_s", "lag_s", "key"),
    [(4, 3, 0, "window_s"), (3, 1, 0, "hop_s"), (3, 3, 1, "lag_s")],
)
def test_windows_finer_than_the_averages(
    tmp_path: Path, window_s: float, hop_s: float, lag_s: float, key: str
) -> None:
    windows = WindowSpec(window_s=window_s, hop_s=hop_s, lag_s=lag_s)
    with pytest.raises(CorpusError, match=f"`windows.{key}` is . s, expected a multiple of 3 s"):
        adapter(tmp_path).check_windows(windows)


def test_windows_of_several_averages(tmp_path: Path) -> None:
    adapter(tmp_path).check_windows(WindowSpec(window_s=6, hop_s=3, lag_s=9, frames=2))


@pytest.mark.parametrize(
    ("window_s", "frames", "problem"),
    [
        (6, 4, "makes frames of 1.5 s\n  expected 3 s or more"),
        (9, 2, "makes frames of 4.5 s, expected a multiple of 3 s"),
    ],
)
def test_frames_finer_than_the_averages(
    tmp_path: Path, window_s: float, frames: int, problem: str
) -> None:
    windows = WindowSpec(window_s=window_s, hop_s=3, frames=frames)
    with pytest.raises(CorpusError, match=f"`windows.frames: {frames}` {problem}"):
        adapter(tmp_path).check_windows(windows)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["A,0,1,2,0,0.5", "A,0,1,2,0,0.5"], r"csv:3: `Time_Index` is 0, expected a whole"),
        (["A,1,1,2,0,0.5", "A,0,1,2,0,0.5"], r"csv:3: `Time_Index` is 0, expected a whole"),
        (["A,0.5,1,2,0,0.5"], r"csv:2: `Time_Index` is 0.5, expected a whole"),
        (["A,,1,2,0,0.5"], r"csv:2: `Time_Index` is nan, expected a whole"),
        (["A,0,1,2,0,0.5", "B,0,1,2,0,0.5", "A,1,1,2,0,0.5"], r"csv:4: rows of player A go on"),
        ([",0,1,2,0,0.5"], r"csv:2: no player"),
        (["A,0,1,2,0,0.5", "A,1,1"], r"csv:3: 3 cells, expected 6"),
        ([], r"csv: no rows"),
    ],
)
def test_damaged_files(tmp_path: Path, rows: list[str], problem: str) -> None:
    write(tmp_path, rows)
    with pytest.raises(CorpusError, match=problem):
        read(adapter(tmp_path))


def test_cut_inside_the_last_cell(tmp_path: Path) -> None:
    path = write(tmp_path, ["A,0,1,2,0,0.5", "A,1,1,2,0,0.75"])
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CorpusError, match=r"csv:3: the file ends inside a line"):
        read(adapter(tmp_path))


def test_missing_column(tmp_path: Path) -> None:
    write(tmp_path, ["A,0,1,2,0,0.5"], header=HEADER.replace("Time_Index", "Time_Indx"))
    with pytest.raises(CorpusError, match=r"no column `Time_Index` .* nearest is `Time_Indx`"):
        read(adapter(tmp_path))


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no recordings in .* expected files such as `Heist_"):
        adapter(tmp_path).units()
