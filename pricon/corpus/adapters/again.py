"""AGAIN as published: one CSV of telemetry and arousal, and frame features extracted beforehand.

    <source>/clean_data/clean_data.csv                        (or <source>/clean_data.csv)
    <source>/frames/<player_id>_<game key>_<session_id>.csv   optional; `time_s,<feature>...`

Columns without a prefix and `[general]` are features (`telemetry.player_speed`,
`telemetry.general_score`), of the frame files all but `time_s` (`frames.<name>`).

A unit is a part of the table, cut between two sessions, and their frame files.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pricon.corpus.adapters.again_clock import NOMINAL_TICK_S, tick_times
from pricon.corpus.adapters.again_frames import FrameFeatures, find_frames
from pricon.corpus.adapters.again_games import Game, find_game
from pricon.corpus.adapters.parts import cut_at_keys
from pricon.corpus.adapters.table import Table, matrix, numbers, open_table, unique_names
from pricon.corpus.session import Channel, Session, Trace, Unit
from pricon.corpus.windows import check_frames
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, AgainSpec, WindowSpec

_KEYS = ("[control]player_id", "[control]game", "[control]session_id")
_AROUSAL = "[output]arousal"
_CLOCKS = ("[control]time_stamp", "[control]time_index")
_TIME_PASSED = "telemetry.general_time_passed"
_TOLERANCE = 1e-6

PART_BYTES = 16 << 20
"""Least size of a part of the table: some dozens of sessions."""

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Which columns of the table are read, as indices, and the names of the features."""

    keys: tuple[int, ...]
    arousal: int
    clocks: tuple[int, ...]
    features: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def wanted(self) -> tuple[int, ...]:
        return (*self.keys, self.arousal, *self.clocks, *self.features)


class AgainAdapter:
    """Reads AGAIN's published layout.

    Args:
        spec: the corpus as the job describes it.
        source: folder with the recordings.
    """

    affects: tuple[Affect, ...] = ("arousal",)

    def __init__(self, spec: AgainSpec, source: Path) -> None:
        self._source = source
        self._time_passed = spec.time_passed
        self._video_offset_s = spec.video_offset_s
        self._games = frozenset(find_game(name, "`stimuli`").key for name in spec.stimuli)

    def units(self) -> list[Unit]:
        """Parts of the table that can be read on their own.

        Raises:
            CorpusError: the table of the recordings is not where it should be, or is no such table.
        """
        paths = (self._table_path(), *self._frames().files)
        table = open_table(paths[0])
        parts = cut_at_keys(table, [table.index_of(column) for column in _KEYS], PART_BYTES)
        return [
            Unit(name=f"again-{number:03}", paths=paths, span=span)
            for number, span in enumerate(parts)
        ]

    def features(self) -> tuple[str, ...]:
        """Names from the header of the table and of the first frame file."""
        columns = self._columns(open_table(self._table_path()))
        return columns.names + self._frames().names

    def modalities(self) -> Mapping[str, Sequence[str]]:
        """`telemetry`, and `frames` where frame features lie beside it."""
        own = {"telemetry": ["telemetry.*"]}
        return own | {"frames": ["frames.*"]} if self._frames().files else own

    def check_windows(self, windows: WindowSpec) -> None:
        """Refuse frames shorter than a row; at four rows a second any window can be cut."""
        check_frames(windows, NOMINAL_TICK_S)

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        """Sessions of the games that the job asks for, in file order.

        Raises:
            CorpusError: the table is cut, a session's rows are not contiguous, a game is unknown
                or a session has no frame features.
        """
        table = replace(open_table(self._table_path()), span=unit.span)
        columns = self._columns(table)
        if not with_features:
            columns = replace(columns, features=(), names=())
        frames = self._frames()
        for row, key, rows in _contiguous(table, columns):
            game = _game(key[1], table, row)
            if self._games and game.key not in self._games:
                continue
            stem = f"{key[0]}_{game.key}_{key[2]}"
            channels = [_telemetry(rows, columns), *frames.channels(stem, with_features)]
            trace = Trace(
                times_s=channels[0].times_s,
                values=_unit_range(numbers(rows.column(len(_KEYS)))),
            )
            yield Session(
                id=stem,
                participant=key[0],
                stimulus=game.key,
                channels=tuple(channels),
                traces={"arousal": trace},
            )

    def check_stimuli(self, found: Collection[str]) -> None:
        """Refuse a table without a session of each game that the job asks for (CorpusError)."""
        missing = sorted(self._games.difference(found)) or ([] if found else ["any game"])
        if not missing:
            return
        table = open_table(self._table_path())
        rows = table.blocks([table.index_of("[control]game")])
        games = {game for block in rows for game in block.column(0).unique().to_pylist()}
        raise CorpusError(
            f"{table.path}: no session of {', '.join(missing)}; games in it: "
            f"{', '.join(sorted(games)) or 'none'}",
            "take them out of `corpus.stimuli`"
            if games
            else "fetch the file again; it holds no rows",
        )

    def _table_path(self) -> Path:
        places = (self._source / "clean_data" / "clean_data.csv", self._source / "clean_data.csv")
        for path in places:
            if path.is_file():
                return path
        raise CorpusError(
            f"no recordings of AGAIN in {self._source}: expected {places[0]} or {places[1].name}",
            "`source` is the folder that holds `clean_data`, as AGAIN is published",
        )

    def _frames(self) -> FrameFeatures:
        return find_frames(self._source / "frames", self._video_offset_s)

    def _columns(self, table: Table) -> _Columns:
        indices, names = [], []
        for index, column in enumerate(table.columns):
            name = _feature_name(column)
            if name is not None:
                indices.append(index)
                names.append(name)
        kept = [
            (index, name)
            for index, name in zip(indices, unique_names(names), strict=True)
            if self._time_passed or name != _TIME_PASSED
        ]
        spellings = [column.strip() for column in table.columns]
        return _Columns(
            keys=tuple(table.index_of(column) for column in _KEYS),
            arousal=table.index_of(_AROUSAL),
            clocks=tuple(spellings.index(column) for column in _CLOCKS if column in spellings),
            features=tuple(index for index, _ in kept),
            names=tuple(name for _, name in kept),
        )


def _feature_name(column: str) -> str | None:
    """Name of the feature in a column; None for columns that are not features."""
    name = column.strip()
    if name.startswith("[general]"):
        return f"telemetry.general_{name.removeprefix('[general]').strip()}"
    if not name or name.startswith(("[", "Unnamed:")):
        return None
    return f"telemetry.{name}"


def _contiguous(table: Table, columns: _Columns) -> Iterator[tuple[int, _Key, pa.Table]]:
    """First row, key and rows of every session; holds one session and one block at a time."""
    row = start_row = 0
    pending: list[pa.RecordBatch] = []
    current: _Key | None = None
    seen: dict[_Key, int] = {}
    for block in table.blocks(columns.wanted):
        for key, rows in _runs(block, table, row):
            if key != current:
                if current is not None:
                    yield start_row, current, pa.Table.from_batches(pending)
                if key in seen:
                    raise _scattered(table, row, key, seen[key])
                seen[key] = start_row = row
                current, pending = key, []
            pending.append(rows)
            row += rows.num_rows
    if current is not None:
        yield start_row, current, pa.Table.from_batches(pending)


def _runs(
    block: pa.RecordBatch, table: Table, first_row: int
) -> Iterator[tuple[_Key, pa.RecordBatch]]:
    """Slices of a block between changes of the key."""
    keys = [block.column(i).to_numpy(zero_copy_only=False) for i in range(len(_KEYS))]
    changes = np.zeros(max(block.num_rows - 1, 0), dtype=bool)
    for name, values in zip(_KEYS, keys, strict=True):
        changes |= values[1:] != values[:-1]
        if None in values:
            row = first_row + values.tolist().index(None)
            raise CorpusError(f"{table.where(row)}: no value in `{name}`")
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), block.num_rows]
    for start, stop in pairwise(edges):
        if start < stop:
            player, game, session = (str(values[start]).strip() for values in keys)
            yield (player, game, session), block.slice(start, stop - start)


def _game(name: str, table: Table, row: int) -> Game:
    """The game of a row; where it stands is only worked out for a message."""
    try:
        return find_game(name, "")
    except CorpusError:
        return find_game(name, table.where(row))


def _scattered(table: Table, row: int, key: _Key, first_row: int) -> CorpusError:
    return CorpusError(
        f"{table.where(row)}: session {key[2]} of player {key[0]} ({key[1]}) goes on here, but "
        f"other rows stand between it and its start in {table.where(first_row)}; expected its rows "
        "one after another",
        "sort the table by `[control]player_id`, `[control]game`, `[control]session_id` and time",
    )


def _telemetry(rows: pa.Table, columns: _Columns) -> Channel:
    first_clock = len(_KEYS) + 1
    first_feature = first_clock + len(columns.clocks)
    clocks = [rows.column(index) for index in range(first_clock, first_feature)]
    values = matrix(rows.select(list(range(first_feature, rows.num_columns))))
    return Channel(
        times_s=tick_times(clocks, rows.num_rows),
        features=columns.names,
        values=values.astype(np.float32),
    )


def _unit_range(arousal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arousal in [0, 1]; an unbounded trace is scaled by its own extremes.

    A trace without any change has no extremes and becomes 0.
    """
    if np.isnan(arousal).all():
        return arousal
    low, high = float(np.nanmin(arousal)), float(np.nanmax(arousal))
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return np.clip(arousal, 0, 1)
    return (arousal - low) / ((high - low) or 1)
