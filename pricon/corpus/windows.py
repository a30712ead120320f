"""Cuts a session into windows. Owns which windows there are and what ticks become in one.

Knows neither labels (they depend on the fold) nor files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.session import Channel, Session, Trace
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, WindowSpec

_TOLERANCE_S = 1e-6
"""Far above the rounding error of a time in seconds, far below the distance of two ticks."""

_GAP_TICKS = 1.5
"""Two ticks further apart than this many usual ones have a gap between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWindows:
    """The windows of one session, in time order.

    Args:
        t_start_s: start of the annotated window, shape (n,); its input starts `lag_s` earlier.
        t_end_s: end of the annotated window (exclusive), shape (n,).
        features: every feature in the frames of the input window, shape (n, frames, f); NaN where
            a feature was not recorded anywhere in the frame.
        feature_names: names of the columns of `features`, channel by channel.
        affect: mean of every trace over the annotated window, each of shape (n,).
        change: mean size of the trace's steps that end in the window, each of shape (n,).
        trend: their mean, each of shape (n,). Steps over a gap in the recording do not count; both
            are NaN where none is left.
        trace_mean: mean of every whole trace, annotated parts outside all windows included.
    """

    t_start_s: NDArray[np.float64]
    t_end_s: NDArray[np.float64]
    features: NDArray[np.float32]
    feature_names: tuple[str, ...]
    affect: Mapping[Affect, NDArray[np.float64]]
    change: Mapping[Affect, NDArray[np.float64]]
    trend: Mapping[Affect, NDArray[np.float64]]
    trace_mean: Mapping[Affect, float]


def cut(session: Session, windows: WindowSpec) -> SessionWindows:
    """The full windows of a session; traces averaged over ticks, features pooled frame by frame.

    Annotation window [t, t + window_s) belongs to input [t - lag_s, t - lag_s + window_s); t runs
    over the multiples of `hop_s`. A window is left out if its input would start before 0, if it
    is not inside every trace and channel (half a tick of slack, as stamps of real recordings
    jitter), if some trace or channel has no tick in it, or if nothing in it was annotated. A frame
    in which a slower channel has no tick holds the tick before, but none from before a gap.
    """
    starts = _full_starts(session, windows)
    affect_ticks = {
        name: _ticks_inside(trace.times_s, starts, windows.window_s)
        for name, trace in session.traces.items()
    }
    input_ticks = [
        _ticks_inside(channel.times_s, starts - windows.lag_s, windows.window_s)
        for channel in session.channels
    ]
    traced = {
        name: _mean(_with_steps(trace), affect_ticks[name])
        for name, trace in session.traces.items()
    }
    keep = np.zeros(len(starts), dtype=bool)
    for values in traced.values():
        keep |= ~np.isnan(values[:, 0])
    for ticks in (*affect_ticks.values(), *input_ticks):
        keep &= ticks[:, 0] < ticks[:, 1]
    starts = starts[keep]
    pooled = [_frames(channel, starts - windows.lag_s, windows) for channel in session.channels]
    nothing = np.empty((len(starts), windows.frames, 0))
    return SessionWindows(
        t_start_s=starts,
        t_end_s=np.round(starts + windows.window_s, 9),
        features=np.concatenate([nothing, *pooled], axis=2).astype(np.float32),
        feature_names=tuple(name for channel in session.channels for name in channel.features),
        affect={name: values[keep, 0] for name, values in traced.items()},
        change={name: values[keep, 1] for name, values in traced.items()},
        trend={name: values[keep, 2] for name, values in traced.items()},
        trace_mean={name: _whole_mean(trace) for name, trace in session.traces.items()},
    )


def check_frames(windows: WindowSpec, tick_s: float) -> None:
    """Nothing, if no frame is shorter than the time between two ticks of the fastest channel.

    Raises:
        CorpusError: one is; a sequence would mostly repeat itself.
    """
    if windows.frame_s < tick_s - _TOLERANCE_S:
        most = int((windows.window_s + _TOLERANCE_S) / tick_s)
        raise CorpusError(
            f"`windows.frames: {windows.frames}` makes frames of {windows.frame_s:.3g} s\n"
            f"  expected {tick_s:g} s or more, the time between two ticks of these recordings",
            f"set `windows.frames: {most}`, or less" if most > 1 else "leave `windows.frames` out",
        )


def _full_starts(session: Session, windows: WindowSpec) -> NDArray[np.float64]:
    """Starts of the annotated windows that lie inside all traces and, led by the lag, channels."""
    spans = list(_spans(session, windows.lag_s))
    if not spans:
        return np.empty(0)
    first_s = max(windows.lag_s, *(start for start, _ in spans)) - _TOLERANCE_S
    last_s = min(end for _, end in spans) - windows.window_s + _TOLERANCE_S
    if first_s > last_s:
        return np.empty(0)
    first, last = np.ceil(first_s / windows.hop_s), np.floor(last_s / windows.hop_s)
    return np.round(np.arange(first, last + 1) * windows.hop_s, 9)


def _spans(session: Session, lag_s: float) -> Iterator[tuple[float, float]]:
    """Start and end of every trace and channel, on the clock of the annotated windows.

    A tick stands for the time up to the next one; the slack is half that time on either side.
    """
    clocks: list[tuple[Trace | Channel, float]] = [(trace, 0) for trace in session.traces.values()]
    clocks += [(channel, lag_s) for channel in session.channels]
    for clock, shift_s in clocks:
        times_s = clock.times_s
        if len(times_s) == 0:
            yield np.inf, -np.inf
            continue
        tick_s = _usual_tick_s(clock)
        yield times_s[0] - tick_s / 2 + shift_s, times_s[-1] + 1.5 * tick_s + shift_s


def _ticks_inside(
    times_s: NDArray[np.float64], starts_s: NDArray[np.float64], window_s: float
) -> NDArray[np.intp]:
    """First tick inside and first tick after each window, shape (n, 2)."""
    edges = np.stack([starts_s, starts_s + window_s], axis=1) - _TOLERANCE_S
    return np.searchsorted(times_s, edges)


def _frames(
    channel: Channel, starts_s: NDArray[np.float64], windows: WindowSpec
) -> NDArray[np.float64]:
    """Features of a channel in the frames of windows that start then, shape (n, frames, f)."""
    frame_starts_s = starts_s[:, None] + np.arange(windows.frames) * windows.frame_s
    shape = *frame_starts_s.shape, len(channel.features)
    if len(starts_s) == 0:
        return np.empty(shape)
    ticks = _ticks_inside(channel.times_s, frame_starts_s.ravel(), windows.frame_s)
    is_empty = ticks[:, 0] == ticks[:, 1]
    held = np.maximum(ticks[:, :1] - 1, 0) + np.arange(2)
    pool = _mean if windows.pooling == "mean" else _last
    pooled = pool(channel.values, np.where(is_empty[:, None], held, ticks))
    age_s = frame_starts_s.ravel() - channel.times_s[held[:, 0]]
    pooled[is_empty & (age_s > _GAP_TICKS * _usual_tick_s(channel))] = np.nan
    return pooled.reshape(shape)


def _usual_tick_s(clock: Trace | Channel) -> float:
    """Time between two ticks; 0 with fewer than two."""
    return float(np.median(np.diff(clock.times_s))) if len(clock.times_s) > 1 else 0.0


def _last(values: NDArray[np.float32], ticks: NDArray[np.intp]) -> NDArray[np.float64]:
    """The last value of ranges of rows that is not NaN, shape (n, columns); NaN without one."""
    rows = np.arange(len(values))[:, None]
    known = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    last = known[ticks[:, 1] - 1]
    found = np.take_along_axis(values, np.maximum(last, 0), axis=0).astype(np.float64)
    return np.where(last >= ticks[:, :1], found, np.nan)


def _mean(
    values: NDArray[np.float32] | NDArray[np.float64], ticks: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Means over ranges of rows, NaN left out, shape (n, columns); NaN where nothing is left.

    Sums each range on its own: differences of one running sum would let a huge value spoil every
    window after it.
    """
    if len(ticks) == 0:
        return np.empty((0, values.shape[1]))
    known = ~np.isnan(values)
    total = _sums(np.where(known, values, 0), ticks)
    count = _sums(known, ticks)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _sums(
    values: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.bool_], ticks: NDArray[np.intp]
) -> NDArray[np.float64]:
    padded = np.concatenate([values, np.zeros_like(values[:1])])
    rows = np.minimum(ticks.ravel(), len(values))
    sums: NDArray[np.float64] = np.add.reduceat(padded, rows, axis=0, dtype=np.float64)[::2]
    sums[ticks[:, 0] == ticks[:, 1]] = 0
    return sums


def _with_steps(trace: Trace) -> NDArray[np.float64]:
    """Value, size of the step from the tick before, and the step itself, shape (ticks, 3)."""
    steps = np.diff(trace.values, prepend=np.nan)
    elapsed_s = np.diff(trace.times_s, prepend=-np.inf)
    if len(steps) > 1:
        steps[elapsed_s > _GAP_TICKS * np.median(elapsed_s[1:])] = np.nan
    return np.stack([trace.values, np.abs(steps), steps], axis=1)


def _whole_mean(trace: Trace) -> float:
    known = trace.values[~np.isnan(trace.values)]
    return float(known.mean()) if len(known) else float("nan")
