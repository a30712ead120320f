"""Games of AGAIN in any spelling."""

import pytest

from pricon.corpus.adapters.again_games import GAMES, find_game
from pricon.errors import CorpusError


def test_nine_games_of_three_genres() -> None:
    assert len({game.key for game in GAMES}) == 9
    genres = [game.genre for game in GAMES]
    assert {genre: genres.count(genre) for genre in genres} == {
        "racing": 3,
        "shooter": 3,
        "platformer": 3,
    }


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("Heist!", "fps"),
        ("FPS", "fps"),
        ("Run'N'Gun", "gun"),
        ("run n gun", "gun"),
        ("TINYCARS", "tiny"),
        ("Tiny Cars", "tiny"),
        ("platform", "platform"),
        ("Pirates", "platform"),
    ],
)
def test_spellings(spelling: str, key: str) -> None:
    assert find_game(spelling, "here").key == key


@pytest.mark.parametrize(
    ("spelling", "hint"), [("Piratse", "did you mean `Pirates!`"), ("42", "expected one of tiny")]
)
def test_unknown(spelling: str, hint: str) -> None:
    with pytest.raises(CorpusError, match=rf"here: unknown game `{spelling}`(.|\n)*{hint}"):
        find_game(spelling, "here")
