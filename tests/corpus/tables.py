"""A small corpus of CSV files and the adapter that reads it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pricon.corpus.session import Channel, Session, Trace, Unit
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, AgainSpec, WindowSpec

FEATURES = ("audio_1", "audio_2", "heart_1", "heart_2", "heart_3")
MODALITIES = {"audio": ("audio_*",), "physiology": ("heart_*",)}
WINDOWS = WindowSpec(window_s=1, hop_s=1, lag_s=0)
TICKS_PER_S = 2


def make_spec(
    uri: Path | str,
    source: Path,
    *,
    modalities: Mapping[str, tuple[str, ...]] = MODALITIES,
    windows: WindowSpec = WINDOWS,
    shard_windows: int = 7,
) -> AgainSpec:
    """What a job would say; `again` stands for any adapter."""
    return AgainSpec(
        adapter="again",
        uri=str(uri),
        source=str(source),
        modalities=dict(modalities),
        windows=windows,
        shard_windows=shard_windows,
    )


def write_tables(
    folder: Path, *, units: int = 3, sessions: int = 2, session_s: int = 10, seed: int = 0
) -> Path:
    """A file a unit; unit number u is participant Pu, who plays `maze` and `race` in turn.

    `heart_3` is never recorded in `race`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for unit in range(units):
        lines = ["session,stimulus,time_s," + ",".join(FEATURES) + ",arousal"]
        for number in range(sessions):
            stimulus = ("maze", "race")[number % 2]
            for tick in range(session_s * TICKS_PER_S):
                values = [f"{value:.4f}" for value in generator.standard_normal(6)]
                if stimulus == "race":
                    values[4] = "nan"
                start = f"P{unit}_{number},{stimulus},{tick / TICKS_PER_S}"
                lines.append(f"{start},{','.join(values)}")
        (folder / f"P{unit}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@dataclass(kw_only=True)
class TableAdapter:
    """Reads what `write_tables` wrote.

    Args:
        folder: with the files.
        pause_s: waits so long in front of each session, so that a build can be interrupted.
    """

    folder: Path
    pause_s: float = 0
    affects: tuple[Affect, ...] = ("arousal",)

    def units(self) -> list[Unit]:
        return [Unit(name=path.stem, paths=(path,)) for path in sorted(self.folder.glob("*.csv"))]

    def features(self) -> tuple[str, ...]:
        return FEATURES

    def modalities(self) -> Mapping[str, Sequence[str]]:
        return MODALITIES

    def check_windows(self, windows: WindowSpec) -> None:
        if windows.window_s * TICKS_PER_S < 1:
            raise CorpusError("windows shorter than a tick")

    def check_stimuli(self, found: Collection[str]) -> None:
        pass

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        rows = [line.split(",") for line in unit.paths[0].read_text().splitlines()[1:]]
        for name in dict.fromkeys(row[0] for row in rows):
            time.sleep(self.pause_s)
            mine = [row for row in rows if row[0] == name]
            if any(len(row) != len(FEATURES) + 4 for row in mine):
                raise CorpusError(f"{unit.paths[0]} is cut")
            times_s = np.array([float(row[2]) for row in mine])
            values = np.array([row[3:-1] for row in mine], dtype=np.float32)
            features = FEATURES if with_features else ()
            yield Session(
                id=name,
                participant=unit.name,
                stimulus=mine[0][1],
                channels=(
                    Channel(times_s=times_s, features=features, values=values[:, : len(features)]),
                ),
                traces={
                    "arousal": Trace(
                        times_s=times_s, values=np.array([float(row[-1]) for row in mine])
                    )
                },
            )
