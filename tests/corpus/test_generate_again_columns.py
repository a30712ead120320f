"""Columns as AGAIN has them."""

import pytest

from pricon.corpus.adapters.again_games import Genre
from pricon.corpus.generate_again_columns import AROUSAL, COLUMNS, CONTROL

NAMES = [column.name for column in COLUMNS]


def test_121_columns() -> None:
    assert len([*CONTROL, AROUSAL, *NAMES]) == 121
    assert sum(name.startswith("[general]") for name in NAMES) == 13
    assert sum(column.is_text for column in COLUMNS) == 6
    assert sum(not name.startswith("[") for name in NAMES) == 93


def test_one_name_twice_but_for_a_blank() -> None:
    assert len({*NAMES}) == len(NAMES)
    assert {"bot_delta_rotation", "bot_delta_rotation ", "pick_up_player_disctance"} < {*NAMES}


@pytest.mark.parametrize(("genre", "count"), [("racing", 39), ("shooter", 41), ("platformer", 48)])
def test_features_of_a_genre(genre: Genre, count: int) -> None:
    own = [c for c in COLUMNS if genre in c.genres and not c.name.startswith("[")]
    assert len(own) == count


@pytest.mark.parametrize(
    ("name", "is_event"),
    [("player_is_grounded", True), ("player_shooting", True), ("player_speed", False)],
)
def test_events(name: str, is_event: bool) -> None:
    assert COLUMNS[NAMES.index(name)].is_event is is_event
