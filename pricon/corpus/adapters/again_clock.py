"""When the rows of an AGAIN session were recorded."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.adapters.table import numbers

NOMINAL_TICK_S = 0.25
_SHORTEST_TICK_S, _LONGEST_TICK_S = 0.05, 1.0
_MILLISECONDS_FROM = 20.0
_TIMEDELTA = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)$")


def tick_times(clocks: Sequence[Any], num_rows: int) -> NDArray[np.float64]:
    """Seconds since the first row of the session, rising, shape (rows,).

    Rows come about every 250 ms, but not exactly, so the recording's own clock is used where it
    can be believed: the first of `clocks` that rises from row to row, by 0.05 to 1 s in the
    median. The published `[control]time_stamp` is in seconds; stamps in milliseconds are known by
    their step and accepted, as are the `0 days 00:00:00.250000` and plain window numbers of
    `[control]time_index`. Where no clock can be believed, row n stands for n * 250 ms.

    Args:
        clocks: columns of text, best first.
        num_rows: rows of the session.
    """
    for clock in clocks:
        stamps = _seconds(clock)
        steps: NDArray[np.float64] = np.diff(stamps)
        if len(steps) == 0 or not (steps > 0).all():
            continue
        step = float(np.median(steps))
        if step == 1:
            stamps, step = stamps * NOMINAL_TICK_S, NOMINAL_TICK_S
        elif step >= _MILLISECONDS_FROM:
            stamps, step = stamps / 1000, step / 1000
        if _SHORTEST_TICK_S <= step <= _LONGEST_TICK_S:
            times_s: NDArray[np.float64] = np.round(stamps - stamps[0], 6)
            return times_s
    return np.arange(num_rows, dtype=np.float64) * NOMINAL_TICK_S


def _seconds(clock: Any) -> NDArray[np.float64]:
    """Stamps as numbers; durations such as `0 days 00:00:00.250000` in seconds."""
    stamps = numbers(clock)
    if not np.isnan(stamps).all():
        return stamps
    return np.array([_duration_s(text) for text in clock.to_pylist()], dtype=np.float64)


def _duration_s(text: str | None) -> float:
    match = _TIMEDELTA.match((text or "").strip())
    if match is None:
        return float("nan")
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
