"""A synthetic corpus for the reading benchmark, built by pricon itself.

Shaped like RECOLA: widths of 131, 41, 54 and 62 features a window, a shard a participant. Features
wander as smoothed signals do and have four decimals, as text files give them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from pricon.corpus.build import build_corpus
from pricon.corpus.session import Channel, Session, Trace, Unit
from pricon.spec.corpus import Affect, AgainSpec, WindowSpec
from pricon.storage import Storage

WIDTHS = {"audio": 131, "ecg": 41, "eda": 54, "video": 62}
STUDENT = "eda"
"""The modality of the projection; it has neighbours on both sides in every shard."""

WINDOWS = WindowSpec(window_s=1, hop_s=1, lag_s=0)

_NAMES = {name: tuple(f"{name}_{i}" for i in range(width)) for name, width in WIDTHS.items()}
_STICKY = 0.95


@dataclass(kw_only=True)
class SyntheticAdapter:
    """`num_windows` windows of a second each for every participant.

    Args:
        folder: holds one small file a participant, as a build hashes its sources.
    """

    folder: Path
    num_participants: int
    num_windows: int
    affects: tuple[Affect, ...] = ("arousal", "valence")

    def units(self) -> list[Unit]:
        self.folder.mkdir(exist_ok=True)
        files = [self.folder / f"P{number:02}.txt" for number in range(self.num_participants)]
        for number, file in enumerate(files):
            file.write_text(str(number), encoding="utf-8")
        return [Unit(name=file.stem, paths=(file,)) for file in files]

    def features(self) -> tuple[str, ...]:
        return tuple(name for names in _NAMES.values() for name in names)

    def modalities(self) -> Mapping[str, Sequence[str]]:
        return {name: (f"{name}_*",) for name in WIDTHS}

    def check_windows(self, windows: WindowSpec) -> None:
        pass

    def check_stimuli(self, found: Collection[str]) -> None:
        pass

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        rng = np.random.default_rng(int(unit.paths[0].read_text(encoding="utf-8")))
        times_s = np.arange(self.num_windows, dtype=np.float64)
        features = self.features() if with_features else ()
        yield Session(
            id=unit.name,
            participant=unit.name,
            stimulus="task",
            channels=(
                Channel(
                    times_s=times_s,
                    features=features,
                    values=wander(rng, self.num_windows, len(features)),
                ),
            ),
            traces={
                affect: Trace(
                    times_s=times_s,
                    values=wander(rng, self.num_windows, 1)[:, 0].astype(np.float64),
                )
                for affect in self.affects
            },
        )


def build(
    storage: Storage,
    sources: Path,
    num_participants: int,
    num_windows: int,
    windows: WindowSpec = WINDOWS,
) -> None:
    """Build the corpus.

    Args:
        storage: where it will be.
        sources: a folder for the sources.
        num_participants: also the number of shards, as long as these are of usual size.
        num_windows: of each participant, if they are a second long.
        windows: how long they are.
    """
    adapter = SyntheticAdapter(
        folder=sources, num_participants=num_participants, num_windows=num_windows
    )
    spec = AgainSpec(
        adapter="again",  # stands for any adapter
        uri=storage.uri,
        source=str(sources),
        modalities={name: (f"{name}_*",) for name in WIDTHS},
        windows=windows,
    )
    build_corpus(adapter, spec, storage, generated=False)


def wander(
    rng: np.random.Generator, num: int, width: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    steps = rng.standard_normal((num, width))
    smooth = lfilter([np.sqrt(1 - _STICKY**2)], [1, -_STICKY], steps, axis=0)
    rounded: NDArray[np.float32] = np.round(smooth, 4).astype(np.float32)
    return rounded
