"""The index of a corpus: who, when and which affect, for every window; no features.

Owns the columns that a shard has besides those of modalities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from pricon.plan.summary import RecordedSession
from pricon.spec.corpus import Affect

PLACE_COLUMNS = ("participant", "session", "stimulus", "t_start_s", "t_end_s")
"""Where a window comes from. Three columns a trace come after them, then one a modality."""

SUMMARIES = ("", "_change", "_trend")
"""What is kept of a trace over a window: mean, mean size of its steps, mean step."""


def index_columns(affects: Sequence[Affect]) -> list[str]:
    """All columns of a shard that are no modality, in their order."""
    return [*PLACE_COLUMNS[:3], *number_columns(affects)]


def number_columns(affects: Sequence[Affect]) -> list[str]:
    """Those of them that hold float64; the others are known from the manifest."""
    return [*PLACE_COLUMNS[3:], *(affect + summary for affect in affects for summary in SUMMARIES)]


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

    def take(self, rows: NDArray[np.int64]) -> "WindowIndex":
        """Some of these windows, in the order of `rows`."""
        return WindowIndex(
            window=self.window[rows],
            participant=self.participant[rows],
            session=self.session[rows],
            stimulus=self.stimulus[rows],
            t_start_s=self.t_start_s[rows],
            t_end_s=self.t_end_s[rows],
            affect={affect: values[rows] for affect, values in self.affect.items()},
            change={affect: values[rows] for affect, values in self.change.items()},
            trend={affect: values[rows] for affect, values in self.trend.items()},
            session_mean={affect: values[rows] for affect, values in self.session_mean.items()},
        )


def as_index(
    numbers: Mapping[str, NDArray[np.float64]],
    window: NDArray[np.int64],
    sessions: Sequence[RecordedSession],
    session: NDArray[np.int64],
    trace_mean: Mapping[str, Mapping[Affect, float | None]],
) -> WindowIndex:
    """Columns of shards with what the manifest knows of sessions.

    Args:
        numbers: column, as `number_columns` has them -> shape (n,).
        window: position of each row in the corpus.
        sessions: of the corpus.
        session: which of these each row belongs to, shape (n,).
        trace_mean: session -> affect -> mean of its whole trace, None where nobody annotated.
    """
    affects: list[Affect] = [affect for affect in get_args(Affect) if affect in numbers]
    mean, change, trend = (
        {affect: numbers[affect + summary] for affect in affects} for summary in SUMMARIES
    )
    means = [[trace_mean[one.id].get(affect) for affect in affects] for one in sessions]
    by_session = np.array(means, dtype=np.float64).reshape(len(sessions), len(affects))
    return WindowIndex(
        window=window,
        participant=np.array([one.participant for one in sessions], dtype=np.str_)[session],
        session=np.array([one.id for one in sessions], dtype=np.str_)[session],
        stimulus=np.array([one.stimulus for one in sessions], dtype=np.str_)[session],
        t_start_s=numbers["t_start_s"],
        t_end_s=numbers["t_end_s"],
        affect=mean,
        change=change,
        trend=trend,
        session_mean={affect: by_session[session, column] for column, affect in enumerate(affects)},
    )
