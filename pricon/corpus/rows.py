"""Windows on their way into shards: columns of a table, and never more than one shard of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pricon.corpus.index import SUMMARIES
from pricon.corpus.modalities import Modality
from pricon.corpus.session import Session
from pricon.corpus.windows import SessionWindows
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect


class Rows:
    """Windows that wait for their shard.

    Args:
        modalities: which features go where; other features are left out.
        affects: traces of the corpus.
        shard_windows: windows in a shard; only the last one may have less.
    """

    def __init__(
        self, modalities: Sequence[Modality], affects: Sequence[Affect], shard_windows: int
    ) -> None:
        self.modalities = modalities
        self.affects = affects
        self.shard_windows = shard_windows
        self._tables: list[pa.Table] = []
        self._num_windows = 0

    def add(self, session: Session, windows: SessionWindows) -> Iterator[pa.Table]:
        """Take the windows of a session; yields every shard that becomes full."""
        table = self._table(session, windows)
        while self._num_windows + table.num_rows >= self.shard_windows:
            room = self.shard_windows - self._num_windows
            yield pa.concat_tables([*self._tables, table.slice(0, room)])
            table = table.slice(room)
            self._tables, self._num_windows = [], 0
        if table.num_rows:
            self._tables.append(table)
            self._num_windows += table.num_rows

    def rest(self) -> Iterator[pa.Table]:
        """What is left for a last shard, if anything is."""
        if self._tables:
            yield pa.concat_tables(self._tables)
            self._tables, self._num_windows = [], 0

    def _table(self, session: Session, windows: SessionWindows) -> pa.Table:
        num_windows = len(windows.t_start_s)
        texts = {
            "participant": session.participant,
            "session": session.id,
            "stimulus": session.stimulus,
        }
        columns = {name: pa.repeat(pa.scalar(text), num_windows) for name, text in texts.items()}
        unknown = np.full(num_windows, np.nan)
        numbers = {"t_start_s": windows.t_start_s, "t_end_s": windows.t_end_s}
        for affect in self.affects:
            summaries = (windows.affect, windows.change, windows.trend)
            for name, by_affect in zip(SUMMARIES, summaries, strict=True):
                numbers[affect + name] = by_affect.get(affect, unknown)
        columns |= {name: pa.array(values, pa.float64()) for name, values in numbers.items()}
        column_of = {name: column for column, name in enumerate(windows.feature_names)}
        if len(column_of) != len(windows.feature_names):
            raise CorpusError(f"session {session.id} has two features of one name")
        for modality in self.modalities:
            values = _aligned(windows.features, column_of, modality.features)
            columns[modality.name] = pa.FixedSizeListArray.from_arrays(
                pa.array(values.ravel()), values.shape[1] * values.shape[2]
            )
        return pa.table(columns)


def _aligned(
    values: NDArray[np.float32], column_of: dict[str, int], names: tuple[str, ...]
) -> NDArray[np.float32]:
    """Features in the order of `names`; NaN where one was not recorded."""
    result = np.full((*values.shape[:2], len(names)), np.nan, dtype=np.float32)
    known = [number for number, name in enumerate(names) if name in column_of]
    result[:, :, known] = values[:, :, [column_of[names[number]] for number in known]]
    return result
