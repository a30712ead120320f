"""The nine games of AGAIN: their keys, names and genres."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pricon.errors import CorpusError

Genre = Literal["racing", "shooter", "platformer"]


@dataclass(frozen=True, slots=True)
class Game:
    """A game: the key in names of videos, the name that people know, its genre."""

    key: str
    name: str
    genre: Genre


GAMES = (
    Game("tiny", "TinyCars", "racing"),
    Game("solid", "Solid", "racing"),
    Game("apex", "ApexSpeed", "racing"),
    Game("fps", "Heist!", "shooter"),
    Game("gallery", "Shootout", "shooter"),
    Game("topdown", "TopDown", "shooter"),
    Game("gun", "Run'N'Gun", "platformer"),
    Game("platform", "Pirates!", "platformer"),
    Game("endless", "Endless", "platformer"),
)


def letters(name: str) -> str:
    """What two spellings of one game have in common.

    >>> letters("Run'N'Gun")
    'runngun'
    """
    return "".join(char for char in name.lower() if char.isalpha())


_BY_LETTERS = {letters(spelling): game for game in GAMES for spelling in (game.key, game.name)}


def find_game(name: str, where: str) -> Game:
    """The game that a key or a name in any spelling means.

    Args:
        name: letters count, case and everything else does not.
        where: what holds the name, for the message.

    Raises:
        CorpusError: no game is called so; names the nearest one.
    """
    game = _BY_LETTERS.get(letters(name))
    if game is None:
        known = (spelling for game in GAMES for spelling in (game.key, game.name))
        raise unknown_game(name, where, known)
    return game


def unknown_game(name: str, where: str, known: Iterable[str]) -> CorpusError:
    """What is said about a game that is not among the known spellings."""
    spellings = list(known)
    by_letters = {letters(spelling): spelling for spelling in spellings}
    close = get_close_matches(letters(name), by_letters, n=1, cutoff=0.5)
    return CorpusError(
        f"{where}: unknown game `{name}`, expected one of {', '.join(spellings)}",
        f"did you mean `{by_letters[close[0]]}`?" if close else None,
    )
