"""What the layouts of RECOLA have in common: frames at 25 Hz, names of modalities, raters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.adapters.table import Table, matrix
from pricon.corpus.session import Channel, Trace
from pricon.errors import CorpusError

FRAME_S = 0.04
NUM_FRAMES = 7501
_TOLERANCE_S = 1e-3

MODALITIES: Mapping[str, tuple[str, ...]] = {
    "audio": ("ComParE13_LLD", "audio_speech_probability"),
    "video": ("VIDEO_40_LLD", "Face_detection_probability"),
    "ecg": ("ECG_54_LLD",),
    "eda": ("EDA_62_LLD",),
}
"""How names of features begin in the layouts that tell modalities by name."""


def modality_of(column: str) -> str | None:
    """Modality of a feature by its name; None for everything that is no feature.

    >>> modality_of("ComParE13_LLD_25Hz_F0final_sma_amean")
    'audio'
    """
    for modality, beginnings in MODALITIES.items():
        if column.strip().startswith(beginnings):
            return modality
    return None


def is_time(column: str) -> bool:
    """Whether a column holds the time: `time`, `time in seconds`, `frameTime`, `timeStamp`."""
    return column.strip().lower() in ("time", "time in seconds", "frametime", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Some columns of one file, a row a frame.

    Args:
        table: the file.
        names: index of each column that is read -> what it is called.
    """

    table: Table
    names: Mapping[int, str]

    def read(self, *, any_length: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times in seconds, shape (frames,), and values, shape (frames, names).

        Raises:
            CorpusError: the number of rows is not that of five minutes (unless any will do), or
                the file has a clock and it is not 25 Hz.
        """
        clock = [index for index, column in enumerate(self.table.columns) if is_time(column)][:1]
        values = matrix(self.table.read([*clock, *self.names]))
        if not any_length and abs(len(values) - NUM_FRAMES) > 1:
            raise CorpusError(
                f"{self.table.path}:{self.table.first_line + len(values)}: ends after "
                f"{len(values)} rows, expected {NUM_FRAMES} +/- 1 (five minutes at 25 Hz)",
                "fetch the file again, or set `corpus.any_length: true` to accept any length",
            )
        times_s = np.round(np.arange(len(values)) * FRAME_S, 6)
        if clock:
            times_s += self._start_s(values[:, 0])
        return times_s, values[:, len(clock) :]

    def _start_s(self, stamps: NDArray[np.float64]) -> float:
        """Time of the first frame, on the grid of frames."""
        bad = np.flatnonzero(~(np.abs(np.diff(stamps) - FRAME_S) <= _TOLERANCE_S))
        if len(bad):
            row = int(bad[0]) + 1
            raise CorpusError(
                f"{self.table.path}:{self.table.first_line + row}: {stamps[row]:g} s comes after "
                f"{stamps[row - 1]:g} s, expected rows {FRAME_S:g} s apart, as the annotation has "
                "them (25 Hz)",
                "resample the features to 25 Hz",
            )
        return round(float(stamps[0]) / FRAME_S) * FRAME_S if len(stamps) else 0.0

    def channel(self, *, any_length: bool, with_features: bool = True) -> Channel:
        """The columns as features; or their clock alone, for which one of them is read."""
        if not with_features:
            first = replace(self, names=dict([*self.names.items()][:1]))
            times_s, values = first.read(any_length=any_length)
            return Channel(
                times_s=times_s, features=(), values=np.empty((len(values), 0), np.float32)
            )
        times_s, values = self.read(any_length=any_length)
        return Channel(
            times_s=times_s, features=tuple(self.names.values()), values=values.astype(np.float32)
        )

    def trace(self, *, any_length: bool) -> Trace:
        """The columns as raters of one affect: their median, frame by frame."""
        times_s, values = self.read(any_length=any_length)
        rated = ~np.isnan(values).all(axis=1)
        median = np.full(len(values), np.nan)
        median[rated] = np.nanmedian(values[rated], axis=1)
        return Trace(times_s=times_s, values=median)


def check_same_length(
    files: Iterable[Frames], channels: Iterable[Channel], traces: Iterable[Trace]
) -> None:
    """Refuse features that do not cover what was annotated, or the other way round.

    Args:
        files: where each channel comes from.
        channels: features.
        traces: annotation.
    """
    rated = min(len(trace.times_s) for trace in traces)
    for file, channel in zip(files, channels, strict=True):
        if abs(len(channel.times_s) - rated) > 1:
            raise CorpusError(
                f"{file.table.path}: {len(channel.times_s)} frames with features, but {rated} "
                "annotated ones; expected as many",
                "features and annotation must have the same rate and length",
            )
