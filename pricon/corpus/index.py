"""The index of a corpus: who, when and which affect, for every window; no features.

Owns the columns that a shard has besides those of modalities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pricon.spec.corpus import Affect

PLACE_COLUMNS = ("participant", "session", "stimulus", "t_start_s", "t_end_s")
"""Where a window comes from. Three columns a trace come after them, then one a modality."""

SUMMARIES = ("", "_change", "_trend")
"""What is kept of a trace over a window: mean, mean size of its steps, mean step."""


def index_columns(affects: Sequence[Affect]) -> list[str]:
    """All columns of a shard that are no modality, in their order."""
    return [*PLACE_COLUMNS, *(affect + summary for affect in affects for summary in SUMMARIES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowIndex:
    """What is known of n windows besides their features; every array has n rows.

    Args:
        window: position in the whole corpus, a window's identity, rising.
        t_start_s: start of the annotated window, seconds since the start of the session.
        t_end_s: its end (exclusive).
        affect: mean of each trace over the window; NaN where nothing was annotated.
        change: mean size of the trace's steps from tick to tick; NaN where it has none.
        trend: mean step of the trace from tick to tick; NaN where it has none.
        session_mean: mean of the whole trace of the window's session.
    """

    window: NDArray[np.int64]
    participant: NDArray[np.str_]
    session: NDArray[np.str_]
    stimulus: NDArray[np.str_]
    t_start_s: NDArray[np.float64]
    t_end_s: NDArray[np.float64]
    affect: dict[Affect, NDArray[np.float64]]
    change: dict[Affect, NDArray[np.float64]]
    trend: dict[Affect, NDArray[np.float64]]
    session_mean: dict[Affect, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.window)


def as_index(
    table: pa.Table,
    window: NDArray[np.int64],
    trace_mean: Mapping[str, Mapping[Affect, float | None]],
    affects: Sequence[Affect],
) -> WindowIndex:
    """Rows of shards as arrays.

    Args:
        table: columns as `index_columns` has them.
        window: position of each row in the corpus.
        trace_mean: session -> affect -> mean of its whole trace, None where nobody annotated.
        affects: traces of the corpus.
    """
    mean, change, trend = (
        {affect: table[affect + summary].to_numpy() for affect in affects} for summary in SUMMARIES
    )
    session = _text(table["session"])
    names, rows = np.unique(session, return_inverse=True)
    means = [[trace_mean[name].get(affect) for affect in affects] for name in names.tolist()]
    by_session = np.array(means, dtype=np.float64).reshape(len(names), len(affects))
    return WindowIndex(
        window=window,
        participant=_text(table["participant"]),
        session=session,
        stimulus=_text(table["stimulus"]),
        t_start_s=table["t_start_s"].to_numpy(),
        t_end_s=table["t_end_s"].to_numpy(),
        affect=mean,
        change=change,
        trend=trend,
        session_mean={affect: by_session[rows, column] for column, affect in enumerate(affects)},
    )


def _text(column: pa.ChunkedArray) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), dtype=np.str_)
