"""Frame features of AGAIN's videos, one CSV a session, extracted before anything is built."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pricon.corpus.adapters.table import matrix, open_table, unique_names
from pricon.corpus.session import Channel
from pricon.errors import CorpusError

_TIME = "time_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFeatures:
    """The `frames` folder beside the telemetry; all is empty where there is none.

    Args:
        folder: where they lie.
        files: its files in a fixed order.
        names: names of the features, the same for every file.
        offset_s: how much earlier the videos start than the annotation.
    """

    folder: Path
    files: tuple[Path, ...]
    names: tuple[str, ...]
    offset_s: float

    def channels(self, stem: str, with_features: bool = True) -> tuple[Channel, ...]:
        """The channel of one session; none where the corpus has no frame features.

        Args:
            stem: name of the file without `.csv`.
            with_features: whether the channel has values, or is a clock alone.

        Raises:
            CorpusError: other sessions have frame features and this one has none, or others, or
                its times do not rise.
        """
        if not self.files:
            return ()
        path = self.folder / f"{stem}.csv"
        if not path.is_file():
            raise CorpusError(
                f"session {stem} has no frame features: expected {path}",
                f"extract them as for the other {len(self.files)} sessions, or move `frames` away "
                "to go without",
            )
        if _names(path) != self.names:
            raise CorpusError(f"{path}:1: features differ from those of {self.files[0].name}")
        names = self.names if with_features else ()
        values = matrix(open_table(path).read(range(1 + len(names))))
        times_s = values[:, 0]
        late = np.flatnonzero(~(np.diff(times_s, prepend=-np.inf) > 0))
        if len(late):
            raise CorpusError(
                f"{path}:{int(late[0]) + 2}: `{_TIME}` is {times_s[late[0]]:g}, expected a time "
                "after that of the row above"
            )
        annotated = times_s >= self.offset_s
        features = values[annotated, 1:].astype(np.float32)
        times_s = times_s[annotated] - self.offset_s
        return (Channel(times_s=times_s, features=names, values=features),)


def find_frames(folder: Path, offset_s: float = 0.0) -> FrameFeatures:
    """What a folder holds, read from the names and the first header of its files.

    Args:
        folder: where frame features lie, if there are any.
        offset_s: how much earlier the videos start than the annotation.

    Raises:
        CorpusError: the folder is there but empty, or its first file has no times or features.
    """
    files = tuple(sorted(folder.glob("*.csv")))
    if folder.is_dir() and not files:
        raise CorpusError(
            f"no frame features in {folder}: expected a file a session, such as `<player_id>_"
            "<game key>_<session_id>.csv`",
            "extract them, or remove the folder to go without",
        )
    names = _names(files[0]) if files else ()
    return FrameFeatures(folder=folder, files=files, names=names, offset_s=offset_s)


def _names(path: Path) -> tuple[str, ...]:
    columns = open_table(path).columns
    if columns[0].strip() != _TIME or len(columns) < 2:
        raise CorpusError(
            f"{path}:1: first column is `{columns[0]}`, expected `{_TIME}` and features after it"
        )
    return tuple(f"frames.{name}" for name in unique_names(columns[1:]))
