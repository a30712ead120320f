"""AGAIN as published: its quirks survive, its damages are told."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.again import AgainAdapter
from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.session import Session
from pricon.corpus.survey import survey
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainSpec, WindowSpec

HEADER = (
    "[control]player_id",
    "[control]session_id",
    "[control]game",
    "[control]time_index",
    "[control]time_stamp",
    "[output]arousal",
    "[general]time_passed",
    "[general]score",
    "[string]key_presses",
    "player_speed",
    "bot_delta_rotation ",
    "bot_delta_rotation",
    "pick_up_player_disctance",
)
Cells = dict[str, object]


def row(index: int, **cells: object) -> Cells:
    """A row of player A's session of Heist!, 250 ms a row."""
    defaults: Cells = dict.fromkeys(HEADER, "0.5")
    defaults |= {
        "[control]player_id": "A",
        "[control]session_id": "s1",
        "[control]game": "Heist!",
        "[control]time_index": f"0 days 00:00:00.{250 * index % 1000:03d}000",
        "[control]time_stamp": f"{0.25 * index:.3f}",
        "[output]arousal": f"{index % 3 / 2}",
        "[string]key_presses": "W|A",
    }
    short = {name.split("]")[-1]: name for name in HEADER}
    return defaults | {short[name]: value for name, value in cells.items()}


def write(folder: Path, rows: Sequence[Cells], header: Sequence[str] = HEADER) -> Path:
    path = folder / "clean_data" / "clean_data.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cells[name] for name in header] for cells in rows)
    return path


def adapter(
    folder: Path, *, stimuli: tuple[str, ...] = (), time_passed: bool = False
) -> AgainAdapter:
    spec = AgainSpec(
        adapter="again", uri="x", source=str(folder), stimuli=stimuli, time_passed=time_passed
    )
    opened = open_adapter(spec)
    assert isinstance(opened, AgainAdapter)
    return opened


def read(opened: AgainAdapter) -> list[Session]:
    sessions = [session for unit in opened.units() for session in opened.sessions(unit)]
    opened.check_stimuli({session.stimulus for session in sessions})
    return sessions


def feature(session: Session, name: str) -> list[float]:
    channel = next(channel for channel in session.channels if name in channel.features)
    return [float(value) for value in channel.values[:, channel.features.index(name)]]


def test_names_of_features(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    names = (
        "telemetry.general_score",
        "telemetry.player_speed",
        "telemetry.bot_delta_rotation",
        "telemetry.bot_delta_rotation_2",
        "telemetry.pick_up_player_disctance",
    )
    assert adapter(tmp_path).features() == names
    assert read(adapter(tmp_path))[0].channels[0].features == names
    assert adapter(tmp_path).modalities() == {"telemetry": ["telemetry.*"]}


def test_time_passed_comes_back_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    names = adapter(tmp_path, time_passed=True).features()
    assert names[0] == "telemetry.general_time_passed"


def test_session(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(1), row(2)])
    (session,) = read(adapter(tmp_path))
    assert (session.id, session.participant, session.stimulus) == ("A_fps_s1", "A", "fps")
    np.testing.assert_array_equal(session.channels[0].times_s, [0, 0.25, 0.5])
    np.testing.assert_array_equal(session.traces["arousal"].values, [0, 0.5, 1])
    assert session.channels[0].values.dtype == np.float32


def test_table_may_lie_beside_the_folder(tmp_path: Path) -> None:
    write(tmp_path, [row(0)]).rename(tmp_path / "clean_data.csv")
    assert len(read(adapter(tmp_path))) == 1


def test_mixed_types_become_numbers_or_nothing(tmp_path: Path) -> None:
    cells = ["True", "False", "0.25", "unknown", "", "inf", " 3", "nan"]
    write(tmp_path, [row(index, player_speed=cell) for index, cell in enumerate(cells)])
    (session,) = read(adapter(tmp_path))
    np.testing.assert_array_equal(
        feature(session, "telemetry.player_speed"),
        [1, 0, 0.25, np.nan, np.nan, np.nan, 3, np.nan],
    )


def test_both_spellings_of_the_column_that_occurs_twice(tmp_path: Path) -> None:
    cells = row(0) | {"bot_delta_rotation ": "1", "bot_delta_rotation": "2"}
    write(tmp_path, [cells])
    (session,) = read(adapter(tmp_path))
    assert feature(session, "telemetry.bot_delta_rotation") == [1]
    assert feature(session, "telemetry.bot_delta_rotation_2") == [2]


def test_rows_have_the_times_of_their_clock(tmp_path: Path) -> None:
    write(tmp_path, [row(index, time_stamp=stamp) for index, stamp in enumerate([10.1, 10.36])])
    (session,) = read(adapter(tmp_path))
    np.testing.assert_allclose(session.channels[0].times_s, [0, 0.26])
    np.testing.assert_allclose(session.traces["arousal"].times_s, [0, 0.26])


def test_time_index_stands_in_for_a_missing_clock(tmp_path: Path) -> None:
    rows = [row(index) for index in (0, 1, 3)]
    write(tmp_path, rows, [name for name in HEADER if name != "[control]time_stamp"])
    (session,) = read(adapter(tmp_path))
    np.testing.assert_allclose(session.channels[0].times_s, [0, 0.25, 0.75])


def test_unbounded_arousal_is_scaled_by_session(tmp_path: Path) -> None:
    first = [row(index, arousal=value) for index, value in enumerate([-5, 0, 15])]
    second = [row(index, session_id="s2", arousal=value) for index, value in enumerate([0.2, 0.4])]
    write(tmp_path, first + second)
    traces = [session.traces["arousal"].values for session in read(adapter(tmp_path))]
    np.testing.assert_allclose(traces[0], [0, 0.25, 1])
    np.testing.assert_allclose(traces[1], [0.2, 0.4])


@pytest.mark.parametrize("name", ["fps", "Heist!", "heist", "HEIST"])
def test_games_in_any_spelling(tmp_path: Path, name: str) -> None:
    other = [row(0, player_id="B", game="Run'N'Gun")]
    write(tmp_path, [row(0), *other])
    assert [session.stimulus for session in read(adapter(tmp_path))] == ["fps", "gun"]
    assert [s.stimulus for s in read(adapter(tmp_path, stimuli=(name,)))] == ["fps"]


def test_unknown_game_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    with pytest.raises(CorpusError, match=r"unknown game `Piratse`(.|\n)*did you mean `Pirates!`"):
        adapter(tmp_path, stimuli=("Piratse",))


def test_unknown_game_in_the_table_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(0, game="Chess")])
    with pytest.raises(CorpusError, match=r"clean_data\.csv:3: unknown game `Chess`"):
        read(adapter(tmp_path))


def test_game_without_sessions_is_told(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    with pytest.raises(CorpusError, match="no session of tiny; games in it: Heist!"):
        read(adapter(tmp_path, stimuli=("fps", "TinyCars")))


def test_scattered_session(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(0, session_id="s2"), row(1)])
    with pytest.raises(CorpusError, match=r"csv:4: session s1 of player A .* start in .*csv:2"):
        read(adapter(tmp_path))


def test_sessions_over_block_borders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(index, session_id=f"s{index // 40}") for index in range(400)]
    write(tmp_path, rows)
    whole = read(adapter(tmp_path))
    monkeypatch.setattr("pricon.corpus.adapters.table._BLOCK_BYTES", 2000)
    pieces = read(adapter(tmp_path))
    assert [session.id for session in pieces] == [f"A_fps_s{number}" for number in range(10)]
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.channels[0].values, other.channels[0].values)


def test_parts_of_the_table_are_units_that_hold_whole_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [row(index, session_id=f"s{index // 40}") for index in range(400)])
    whole = read(adapter(tmp_path))
    monkeypatch.setattr("pricon.corpus.adapters.again.PART_BYTES", 4000)
    opened = adapter(tmp_path)
    units = opened.units()
    assert [unit.name for unit in units] == [f"again-{number:03}" for number in range(5)]
    assert [len([*opened.sessions(unit)]) for unit in units] == [2, 2, 2, 2, 2]
    parts = read(opened)
    assert [session.id for session in parts] == [session.id for session in whole]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.channels[0].values, other.channels[0].values)
        np.testing.assert_array_equal(one.traces["arousal"].values, other.traces["arousal"].values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"game": "Chess"}, r"clean_data\.csv:392: unknown game `Chess`"),
        ({"player_id": ""}, r"clean_data\.csv:392: no value in `\[control\]player_id`"),
    ],
)
def test_what_is_wrong_in_a_later_part_is_named_by_its_line(
    wrong: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricon.corpus.adapters.again.PART_BYTES", 4000)
    rows = [row(index, session_id=f"s{index // 40}") for index in range(400)]
    write(tmp_path, [*rows[:390], row(390, **wrong), *rows[391:]])
    with pytest.raises(CorpusError, match=message):
        read(adapter(tmp_path))


def test_a_row_cut_in_a_later_part_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricon.corpus.adapters.again.PART_BYTES", 4000)
    path = write(tmp_path, [row(index, session_id=f"s{index // 40}") for index in range(400)])
    lines = path.read_text().splitlines()
    lines[391] = lines[391].rpartition(",")[0]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CorpusError, match=r"clean_data\.csv:392: 12 cells, expected 13"):
        read(adapter(tmp_path))


@pytest.mark.parametrize("part_bytes", [4000, 1 << 20])
def test_a_stray_piece_of_a_session_is_refused_wherever_it_lies(
    part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too short for a window, so a build would only pass over it."""
    monkeypatch.setattr("pricon.corpus.adapters.again.PART_BYTES", part_bytes)
    rows = [row(index, session_id=f"s{index // 40}") for index in range(400)]
    write(tmp_path, [*rows, row(400, session_id="s0")])
    spec = AgainSpec(adapter="again", uri="x", source=str(tmp_path))
    with pytest.raises(CorpusError, match=r"session s0 of player A|called `A_fps_s0`"):
        survey(open_adapter(spec), spec, generated=False)


def test_cut_inside_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, [row(0), row(1), row(2)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + "\n" + ",".join(lines[3].split(",")[:5]) + "\n")
    with pytest.raises(CorpusError, match=r"clean_data\.csv:4: 5 cells, expected 13"):
        read(adapter(tmp_path))


def test_cut_inside_the_last_cell(tmp_path: Path) -> None:
    """Every row has all its cells, only the last number has lost digits."""
    path = write(tmp_path, [row(0), row(1), row(2)])
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CorpusError, match=r"clean_data\.csv:4: the file ends inside a line"):
        read(adapter(tmp_path))


def test_table_without_rows(tmp_path: Path) -> None:
    write(tmp_path, [])
    with pytest.raises(CorpusError, match=r"clean_data\.csv: no session of any game"):
        read(adapter(tmp_path))


def test_not_text(tmp_path: Path) -> None:
    path = write(tmp_path, [row(0)])
    path.write_bytes(path.read_bytes().replace(b"A", b"\xff"))
    with pytest.raises(CorpusError, match=r"clean_data\.csv: cannot be read"):
        read(adapter(tmp_path))


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    header = ["[output]arousals" if name == "[output]arousal" else name for name in HEADER]
    write(tmp_path, [row(0) | {"[output]arousals": "1"}], header)
    with pytest.raises(CorpusError, match=r"csv:1: no column `\[output\]arousal` among 13 columns"):
        adapter(tmp_path).features()


def test_missing_player(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(1, player_id="")])
    with pytest.raises(CorpusError, match=r"csv:3: no value in `\[control\]player_id`"):
        read(adapter(tmp_path))


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no recordings of AGAIN in .*clean_data\.csv"):
        adapter(tmp_path).units()


def test_any_windows(tmp_path: Path) -> None:
    adapter(tmp_path).check_windows(WindowSpec(window_s=1.7, hop_s=0.3, frames=6))
    with pytest.raises(CorpusError, match=r"expected 0\.25 s or more"):
        adapter(tmp_path).check_windows(WindowSpec(window_s=1.7, hop_s=0.3, frames=7))


def frames(folder: Path, stem: str, text: str) -> None:
    (folder / "frames").mkdir(exist_ok=True)
    (folder / "frames" / f"{stem}.csv").write_text(text)


def test_frame_features(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(1)])
    frames(tmp_path, "A_fps_s1", "time_s,light,flow\n0,1,2\n0.5,3,4\n")
    opened = adapter(tmp_path)
    (session,) = read(opened)
    assert opened.features()[-2:] == ("frames.light", "frames.flow")
    assert opened.modalities() == {"telemetry": ["telemetry.*"], "frames": ["frames.*"]}
    assert [path.name for path in opened.units()[0].paths] == ["clean_data.csv", "A_fps_s1.csv"]
    assert feature(session, "frames.flow") == [2, 4]
    np.testing.assert_array_equal(session.channels[1].times_s, [0, 0.5])


def test_session_without_frame_features(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    frames(tmp_path, "B_fps_s1", "time_s,light\n0,1\n")
    with pytest.raises(CorpusError, match=r"session A_fps_s1 has no frame features: expected .*A_"):
        read(adapter(tmp_path))
