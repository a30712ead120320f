"""Frame features of AGAIN's videos, one CSV a session, extracted before anything is built."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pricon.corpus.adapters.table import matrix, open_table, unique_names
from pricon.corpus.session import Channel
from pricon.errors import CorpusError

_TIME = "time_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFeatures:
    """The `frames` folder beside the telemetry; all is empty where there is none."""

    folder: Path

    def files(self) -> tuple[Path, ...]:
        """Its files in a fixed order."""
        return tuple(sorted(self.folder.glob("*.csv")))

    def features(self) -> tuple[str, ...]:
        """Names of the features, from the first file."""
        files = self.files()
        return _names(files[0]) if files else ()

    def channels(self, stem: str) -> tuple[Channel, ...]:
        """The channel of one session; none where the corpus has no frame features.

        Args:
            stem: name of the file without `.csv`.

        Raises:
            CorpusError: other sessions have frame features and this one has none, or others, or
                its times do not rise.
        """
        files = self.files()
        if not files:
            return ()
        path = self.folder / f"{stem}.csv"
        if not path.is_file():
            raise CorpusError(
                f"session {stem} has no frame features: expected {path}",
                f"extract them as for the other {len(files)} sessions, or move `frames` away to "
                "go without",
            )
        names = _names(path)
        if names != _names(files[0]):
            raise CorpusError(f"{path}:1: features differ from those of {files[0].name}")
        values = matrix(pa.Table.from_batches(list(open_table(path).blocks())))
        times_s = values[:, 0]
        late = np.flatnonzero(~(np.diff(times_s) > 0))
        if len(late) or not np.isfinite(times_s).all():
            line = int(late[0]) + 3 if len(late) else 2
            raise CorpusError(f"{path}:{line}: `{_TIME}` does not rise from row to row")
        return (Channel(times_s=times_s, features=names, values=values[:, 1:].astype(np.float32)),)


def _names(path: Path) -> tuple[str, ...]:
    columns = open_table(path).columns
    if columns[0].strip() != _TIME or len(columns) < 2:
        raise CorpusError(
            f"{path}:1: first column is `{columns[0]}`, expected `{_TIME}` and features after it"
        )
    return tuple(f"frames.{name}" for name in unique_names(columns[1:]))
