"""What every adapter yields: recordings as time-stamped channels and annotation traces."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pricon.spec.corpus import Affect, WindowSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Features that share one clock.

    Args:
        times_s: seconds since the start of the session, rising, shape (ticks,).
        features: names of the columns of `values`; unique within a corpus.
        values: float32, shape (ticks, features); NaN where nothing was recorded.
    """

    times_s: NDArray[np.float64]
    features: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One affect annotation over a session: times in seconds and values, both of shape (ticks,)."""

    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One participant's continuous recording."""

    id: str
    participant: str
    stimulus: str
    channels: tuple[Channel, ...]
    traces: Mapping[Affect, Trace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Raw files that are read together by one process of a build.

    Args:
        name: starts the names of its shards; letters, digits, `-` and `_` only; unique.
        paths: the files, whose bytes identify what was built.
        span: bytes of the first file (first, and one after the last) that are the unit's own,
            where units share that file.
    """

    name: str
    paths: tuple[Path, ...]
    span: tuple[int, int] | None = None


class Adapter(Protocol):
    """What a corpus module provides. Instances are pickled to the processes of a build."""

    affects: tuple[Affect, ...]

    def units(self) -> list[Unit]:
        """Raw files to read, in a fixed order.

        Raises:
            CorpusError: nothing that this adapter can read is there.
        """
        ...

    def features(self) -> tuple[str, ...]:
        """Names of all features of the corpus, over all units, without reading the rows."""
        ...

    def modalities(self) -> Mapping[str, Sequence[str]]:
        """The corpus' own modalities as patterns of feature names, where the job names none."""
        ...

    def check_windows(self, windows: WindowSpec) -> None:
        """Refuse windows that these recordings cannot give (CorpusError)."""
        ...

    def check_stimuli(self, found: Collection[str]) -> None:
        """Refuse recordings that lack a stimulus which the job asks for.

        Args:
            found: stimuli of all sessions.

        Raises:
            CorpusError: names what is missing.
        """
        ...

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        """Sessions of a unit, one at a time, so that a build never holds more than one.

        Args:
            unit: one of `units`.
            with_features: whether channels have values; without, they are clocks alone: no
                features, values of shape (ticks, 0). Windows are the same.

        Raises:
            CorpusError: a file is cut, has the wrong length or columns; names file and line.
        """
        ...
