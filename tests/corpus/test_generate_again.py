"""Generated AGAIN: its quirks are really there."""

import csv
from pathlib import Path

import pytest

from pricon.corpus.adapters.again import AgainAdapter
from pricon.corpus.adapters.again_games import GAMES
from pricon.corpus.generate_again import generate_again
from pricon.spec.corpus import AgainSpec, GenerateSpec

SMALL = GenerateSpec(participants=2, session_s=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All games of two people."""
    folder = tmp_path_factory.mktemp("again")
    generate_again(folder, SMALL, [game.name for game in GAMES])
    return folder


def rows(folder: Path) -> list[list[str]]:
    with (folder / "clean_data" / "clean_data.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_quirks_of_the_table(folder: Path) -> None:
    header, *table = rows(folder)

    def cells(column: str, game: str) -> set[str]:
        index = header.index(column)
        return {line[index] for line in table if line[3] == game}

    assert cells("player_crouching", "Heist!") <= {"True", "False"}
    assert cells("player_health_pickup", "Heist!") == {"0.0", "1.0", "unknown"}
    assert cells("player_crouching", "Solid") == {""}
    assert cells("bot_delta_rotation ", "Solid") == {""}
    assert cells("bot_delta_rotation", "Heist!") == {""}
    assert cells("bot_charging", "Pirates!") <= {"0.0", "1.0"}
    assert "W|A" in cells("[string]key_presses", "Heist!")
    assert {len(line) for line in table} == {121}


def test_everything_is_read_back(folder: Path) -> None:
    adapter = AgainAdapter(AgainSpec(adapter="again", uri="x", source=str(folder)), folder)
    (unit,) = adapter.units()
    sessions = list(adapter.sessions(unit))
    assert len({session.participant for session in sessions}) == 2
    assert [session.stimulus for session in sessions] == 2 * [game.key for game in GAMES]
    for session in sessions:
        telemetry, frames = session.channels
        score = telemetry.values[:, telemetry.features.index("telemetry.general_score")]
        assert (score.min(), score.max()) == (0, 1)
        arousal = session.traces["arousal"].values
        assert (arousal.min(), arousal.max()) == (0, 1)
        assert len(telemetry.times_s) == 80
        assert frames.values.shape == (40, 24)
        assert 19.7 < telemetry.times_s[-1] < 19.8


def test_a_game_does_not_depend_on_the_others(folder: Path, tmp_path: Path) -> None:
    generate_again(tmp_path, SMALL, ["solid"])
    among = [cells for cells in rows(folder)[1:] if cells[3] == "Solid"]
    assert rows(tmp_path)[1:] == among


def test_one_game_where_none_is_asked_for(tmp_path: Path) -> None:
    generate_again(tmp_path, SMALL)
    assert {cells[3] for cells in rows(tmp_path)[1:]} == {"Heist!"}
