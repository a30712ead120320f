"""AGAIN's derivative of Affectively-Environments: telemetry averaged over 3 s, human arousal.

One file a game, `<Game>_3000ms_nonorm_with_clusters.csv`, one row a 3 s step of a player. Columns
differ between games. `Time_Index` counts steps and may leave some out.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.adapters.again_games import letters, unknown_game
from pricon.corpus.adapters.table import Table, matrix, numbers, open_table, unique_names
from pricon.corpus.session import Channel, Session, Trace, Unit
from pricon.corpus.windows import check_frames
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, AgainDerivedSpec, WindowSpec

STEP_S = 3.0
_ENDING = "_3000ms_nonorm_with_clusters.csv"
_PLAYER, _INDEX, _AROUSAL = "[control]player_id", "Time_Index", "[output]arousal"
_NO_FEATURES = frozenset({_PLAYER, _INDEX, "Cluster", _AROUSAL, ""})


class AgainDerivedAdapter:
    """Reads the derivative's files.

    Args:
        spec: the corpus as the job describes it.
        source: folder with the files.
    """

    affects: tuple[Affect, ...] = ("arousal",)

    def __init__(self, spec: AgainDerivedSpec, source: Path) -> None:
        self._source = source
        self._stimuli = spec.stimuli

    def units(self) -> list[Unit]:
        """One unit a game, by name.

        Raises:
            CorpusError: no file of any game is there, or none of a game that the job asks for.
        """
        files = {_game(path): path for path in sorted(self._source.glob(f"*{_ENDING}"))}
        if not files:
            raise CorpusError(
                f"no recordings in {self._source}: expected files such as `Heist{_ENDING}`",
                "`source` is the folder that holds these files",
            )
        asked = {letters(name): name for name in self._stimuli}
        for stimulus, name in asked.items():
            if stimulus not in files:
                raise unknown_game(name, "`stimuli`", files)
        return [
            Unit(name=stimulus, paths=(path,))
            for stimulus, path in files.items()
            if not asked or stimulus in asked
        ]

    def features(self) -> tuple[str, ...]:
        """Features of all games, each once, in the order in which the files have them."""
        names: dict[str, None] = {}
        for unit in self.units():
            names |= dict.fromkeys(_features(open_table(unit.paths[0])).values())
        return tuple(names)

    def modalities(self) -> Mapping[str, Sequence[str]]:
        """`telemetry`: everything; a job may split it."""
        return {"telemetry": ["*"]}

    def check_windows(self, windows: WindowSpec) -> None:
        """Refuse windows finer than the averages that the files hold."""
        for name in ("window_s", "hop_s", "lag_s"):
            value = float(getattr(windows, name))
            if not _is_whole(value / STEP_S):
                raise CorpusError(
                    f"`windows.{name}` is {value:g} s, expected a multiple of {STEP_S:g} s: "
                    "these recordings are averages over 3 s",
                    f"set `windows.{name}: {max(round(value / STEP_S), 1) * STEP_S:g}`",
                )
        check_frames(windows, STEP_S)
        if not _is_whole(windows.frame_s / STEP_S):
            raise CorpusError(
                f"`windows.frames: {windows.frames}` makes frames of {windows.frame_s:g} s, "
                f"expected a multiple of {STEP_S:g} s: these recordings are averages over 3 s",
                f"set `windows.frames: {round(windows.window_s / STEP_S)}`",
            )

    def check_stimuli(self, found: Collection[str]) -> None:
        """Nothing to refuse: files of games that are not there are missed by `units`."""

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        """A session a player, in file order.

        Raises:
            CorpusError: the file is cut, lacks a column, or a player's steps do not rise one
                after another.
        """
        table = open_table(unit.paths[0])
        features = _features(table) if with_features else {}
        rows = table.read()
        players = np.array(rows.column(table.index_of(_PLAYER)).to_pylist(), dtype=object)
        steps = numbers(rows.column(table.index_of(_INDEX)))
        arousal = numbers(rows.column(table.index_of(_AROUSAL)))
        values = matrix(rows.select(list(features))).astype(np.float32)
        edges = np.flatnonzero(players[1:] != players[:-1]) + 1
        seen: set[str] = set()
        for chosen in np.split(np.arange(len(players)), edges):
            line, player = int(chosen[0]) + table.first_line, players[chosen[0]]
            if player is None or player in seen:
                problem = "no player" if player is None else f"rows of player {player} go on here"
                raise CorpusError(
                    f"{table.path}:{line}: {problem}, expected each player's rows one after "
                    f"another under `{_PLAYER}`"
                )
            seen.add(player)
            _check_rising(table, line, steps[chosen])
            times_s = steps[chosen] * STEP_S
            channel = Channel(
                times_s=times_s, features=tuple(features.values()), values=values[chosen]
            )
            yield Session(
                id=f"{player}_{unit.name}",
                participant=player,
                stimulus=unit.name,
                channels=(channel,),
                traces={"arousal": Trace(times_s=times_s, values=arousal[chosen])},
            )


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-9


def _game(path: Path) -> str:
    return re.sub(r"[^a-z0-9]", "", path.name.removesuffix(_ENDING).lower())


def _features(table: Table) -> dict[int, str]:
    """Index and name of each column that is a feature."""
    return {
        index: name
        for index, name in enumerate(unique_names(table.columns))
        if name not in _NO_FEATURES
    }


def _check_rising(table: Table, line: int, steps: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~(np.diff(steps, prepend=-1) > 0) | (steps != np.round(steps)))
    if len(bad):
        raise CorpusError(
            f"{table.path}:{line + int(bad[0])}: `{_INDEX}` is {steps[bad[0]]:g}, expected a "
            "whole number that rises from row to row of a player"
        )
