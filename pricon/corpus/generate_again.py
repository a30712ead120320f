"""Writes generated recordings in AGAIN's published layout, with its quirks.

One table of 121 columns with telemetry and arousal, min-max scaled per session; columns of other
genres empty, `bot_delta_rotation` twice, truth values and words in numeric columns, text columns.
Beside it a file of frame features a session.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pricon.corpus.adapters.again_games import GAMES, Game, find_game
from pricon.corpus.generate_again_columns import AROUSAL, COLUMNS, CONTROL, TIME_PASSED, Column
from pricon.corpus.generate_world import (
    Floats,
    Sensor,
    World,
    draw_sensor,
    draw_sources,
    draw_world,
    rate,
)
from pricon.spec.corpus import GenerateSpec

_TICK_S = 0.25
_TICKS_PER_FRAME = 2
_NUM_FRAME_FEATURES = 24
_EPOCH_MS = 1_573_000_000_000
_TRUTH_VALUES = frozenset({"player_crouching", "bot_is_grounded"})
_STRAY_WORDS = frozenset({"player_health_pickup", "player_lap"})
_KEYS_PRESSED = ("", "W", "W|A", "Space")


def generate_again(source: Path, generate: GenerateSpec, stimuli: Sequence[str] = ()) -> None:
    """Write `clean_data/clean_data.csv` and `frames/` into an existing folder.

    Args:
        source: the folder.
        generate: size, seed and signals.
        stimuli: games by key or name; Heist! alone where none is given.
    """
    games = [find_game(name, "`stimuli`") for name in stimuli or ("fps",)]
    for_world, for_sessions = np.random.SeedSequence(generate.seed).spawn(2)
    for_weights, for_sensors = for_world.spawn(2)
    world = draw_world(np.random.default_rng(for_weights), generate)
    sensors = _draw_sensors(for_sensors, world, generate)
    (source / "frames").mkdir()
    (source / "clean_data").mkdir()
    header = [*CONTROL, AROUSAL, *(column.name for column in COLUMNS)]
    table = source / "clean_data" / "clean_data.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(header) + "\n")
        for number, seeds in enumerate(for_sessions.spawn(generate.participants)):
            for_player, *for_games = seeds.spawn(1 + len(GAMES))
            player = _guid(np.random.default_rng(for_player))
            for game in games:
                rng = np.random.default_rng(for_games[GAMES.index(game)])
                session = _Session(rng, world, game, player, number, generate.session_s)
                file.writelines(session.rows(sensors[game.key]))
                frames = source / "frames" / f"{player}_{game.key}_{session.id}.csv"
                frames.write_text(session.frames(sensors["frames"]), encoding="utf-8", newline="")


def _draw_sensors(
    seed: np.random.SeedSequence, world: World, generate: GenerateSpec
) -> dict[str, Sensor]:
    """The frame sensor and a telemetry sensor a game, each from a seed of its own."""
    for_frames, *for_games = seed.spawn(1 + len(GAMES))
    sensors = {
        "frames": draw_sensor(
            np.random.default_rng(for_frames),
            world,
            num_features=_NUM_FRAME_FEATURES,
            privileged=False,
            signal=generate.available_signal,
        )
    }
    for game, for_game in zip(GAMES, for_games, strict=True):
        sensors[game.key] = draw_sensor(
            np.random.default_rng(for_game),
            world,
            num_features=len(_measured(game)),
            privileged=True,
            signal=generate.privileged_signal,
        )
    return sensors


def _measured(game: Game) -> list[Column]:
    """Columns of a game that come from its telemetry sensor."""
    return [
        column
        for column in COLUMNS
        if game.genre in column.genres and not column.is_text and column.name != TIME_PASSED
    ]


class _Session:
    """One player's session of one game, from first to last row."""

    def __init__(
        self,
        rng: np.random.Generator,
        world: World,
        game: Game,
        player: str,
        number: int,
        session_s: float,
    ) -> None:
        num_ticks = max(int(session_s / _TICK_S), 2)
        self.id = rng.bytes(4).hex()
        self._rng = rng
        self._game = game
        self._player = player
        self._epoch_ms = _EPOCH_MS + number * 86_400_000 + GAMES.index(game) * 600_000
        self._sources = draw_sources(rng, world, num_ticks, _TICK_S)
        self._arousal = _unit_range(rate(rng, world, self._sources.affect, _TICK_S))

    def rows(self, telemetry: Sensor) -> Iterator[str]:
        """Lines of the table."""
        factors = np.concatenate([self._sources.shared, self._sources.private], axis=1)
        values = telemetry.record(self._rng, factors, _TICK_S)
        measured = {
            column.name: self._cells(column, values[:, index])
            for index, column in enumerate(_measured(self._game))
        }
        num_ticks = len(self._arousal)
        measured[TIME_PASSED] = _decimals(np.arange(num_ticks) / (num_ticks - 1))
        columns = [*self._control(num_ticks), _decimals(self._arousal)]
        empty = [""] * num_ticks
        for column in COLUMNS:
            if column.is_text and self._game.genre in column.genres:
                columns.append([_KEYS_PRESSED[i] for i in self._rng.integers(0, 4, num_ticks)])
            else:
                columns.append(measured.get(column.name, empty))
        return (",".join(cells) + "\n" for cells in zip(*columns, strict=True))

    def frames(self, sensor: Sensor) -> str:
        """The file of frame features: two frames a second, on the clock of the telemetry."""
        recorded = sensor.record(self._rng, self._sources.shared, _TICK_S)[::_TICKS_PER_FRAME]
        times = [f"{index * _TICK_S * _TICKS_PER_FRAME:g}" for index in range(len(recorded))]
        columns = [times, *(_decimals(recorded[:, index]) for index in range(recorded.shape[1]))]
        header = ["time_s", *(f"frame_{index:02d}" for index in range(recorded.shape[1]))]
        lines = [header, *zip(*columns, strict=True)]
        return "".join(",".join(line) + "\n" for line in lines)

    def _control(self, num_ticks: int) -> list[list[str]]:
        ticks = np.arange(num_ticks)
        jitter_ms = self._rng.integers(0, 9, num_ticks)
        jitter_ms[0] = 0
        stamps_ms = ticks * round(_TICK_S * 1000) + jitter_ms
        return [
            [self._game.genre] * num_ticks,
            [self._player] * num_ticks,
            [self.id] * num_ticks,
            [self._game.name] * num_ticks,
            [_time_index(tick) for tick in ticks.tolist()],
            [str(self._epoch_ms + stamp) for stamp in stamps_ms.tolist()],
            [f"{stamp / 1000:.3f}" for stamp in stamps_ms.tolist()],
            [str(stamp * 60 // 1000) for stamp in stamps_ms.tolist()],
        ]

    def _cells(self, column: Column, values: Floats) -> list[str]:
        """Cells of a feature: 0 or 1 for events, else scaled; a few columns mix types."""
        if not column.is_event:
            return _decimals(_unit_range(values))
        happened = (values > self._rng.uniform(0.3, 0.9)).tolist()
        if column.name in _TRUTH_VALUES:
            return [str(value) for value in happened]
        cells = ["1.0" if value else "0.0" for value in happened]
        if column.name in _STRAY_WORDS:
            cells[len(cells) // 2] = "unknown"
        return cells


def _unit_range(values: Floats) -> Floats:
    low, high = values.min(), values.max()
    scaled: Floats = (values - low) / ((high - low) or 1)
    return scaled


def _decimals(values: Floats) -> list[str]:
    return [f"{value:.5f}" for value in values.tolist()]


def _time_index(tick: int) -> str:
    """As the published table has it, a duration: `0 days 00:00:01.250000`."""
    seconds, milliseconds = divmod(tick * round(_TICK_S * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"0 days {hours:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}000"


def _guid(rng: np.random.Generator) -> str:
    text = rng.bytes(16).hex().upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
