"""Windows: values by hand, equality with a slow loop, and which windows there are."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pricon.corpus.session import Channel, Session, Trace
from pricon.corpus.windows import check_frames, cut
from pricon.errors import CorpusError
from pricon.spec.corpus import WindowSpec

Floats = NDArray[np.floating]


def session(*channels: tuple[Floats, Floats], trace: tuple[Floats, Floats]) -> Session:
    return Session(
        id="s",
        participant="p",
        stimulus="game",
        channels=tuple(
            Channel(
                times_s=times_s.astype(np.float64),
                features=tuple(f"c{number}.f{index}" for index in range(values.shape[1])),
                values=values.astype(np.float32),
            )
            for number, (times_s, values) in enumerate(channels)
        ),
        traces={
            "arousal": Trace(
                times_s=trace[0].astype(np.float64), values=trace[1].astype(np.float64)
            )
        },
    )


def ramp(num_ticks: int, tick_s: float) -> Session:
    """A session whose only feature and whose trace are the number of the tick."""
    times_s = np.arange(num_ticks) * tick_s
    ticks = np.arange(num_ticks, dtype=float)
    return session((times_s, ticks[:, None]), trace=(times_s, ticks))


def test_means_by_hand() -> None:
    windows = cut(ramp(8, 0.25), WindowSpec(window_s=1, hop_s=0.5))
    np.testing.assert_array_equal(windows.t_start_s, [0, 0.5, 1])
    np.testing.assert_array_equal(windows.t_end_s, [1, 1.5, 2])
    np.testing.assert_array_equal(windows.features, [[[1.5]], [[3.5]], [[5.5]]])
    np.testing.assert_array_equal(windows.affect["arousal"], [1.5, 3.5, 5.5])
    assert windows.feature_names == ("c0.f0",)
    assert windows.trace_mean == {"arousal": 3.5}
    assert windows.features.dtype == np.float32
    assert windows.affect["arousal"].dtype == np.float64


def test_lag_shifts_the_input_only() -> None:
    windows = cut(ramp(16, 0.25), WindowSpec(window_s=1, hop_s=1, lag_s=0.5))
    np.testing.assert_array_equal(windows.t_start_s, [1, 2, 3])
    np.testing.assert_array_equal(windows.affect["arousal"], [5.5, 9.5, 13.5])
    np.testing.assert_array_equal(windows.features[:, 0, 0], [3.5, 7.5, 11.5])


def test_windows_whose_input_would_start_before_zero_are_dropped() -> None:
    windows = cut(ramp(480, 0.25), WindowSpec(window_s=3, hop_s=3, lag_s=1))
    assert windows.t_start_s[0] == 3
    assert len(windows.t_start_s) == 39
    at_the_border = cut(ramp(480, 0.25), WindowSpec(window_s=3, hop_s=1, lag_s=1))
    assert at_the_border.t_start_s[0] == 1


@pytest.mark.parametrize(("num_ticks", "expected"), [(12, 1), (11, 0), (23, 1), (24, 2)])
def test_only_full_windows(num_ticks: int, expected: int) -> None:
    windows = cut(ramp(num_ticks, 0.25), WindowSpec(window_s=3, hop_s=3))
    assert len(windows.t_start_s) == expected


def test_channel_that_ends_early_ends_the_windows() -> None:
    long_s, short_s = np.arange(40) * 0.25, np.arange(20) * 0.25
    ones = np.ones((40, 1))
    both = session((long_s, ones), (short_s, ones[:20]), trace=(long_s, ones[:, 0]))
    assert len(cut(both, WindowSpec(window_s=1, hop_s=1)).t_start_s) == 5
    lagged = cut(both, WindowSpec(window_s=1, hop_s=1, lag_s=2))
    np.testing.assert_array_equal(lagged.t_start_s, np.arange(2, 7))


def test_float_grid_of_recola() -> None:
    """0.4 and 0.04 have no exact binary form: every window must still hold exactly 100 frames."""
    windows = cut(ramp(7501, 0.04), WindowSpec(window_s=4, hop_s=0.4))
    assert len(windows.t_start_s) == 741
    np.testing.assert_allclose(windows.features[:, 0, 0], np.arange(741) * 10 + 49.5, rtol=1e-6)
    assert windows.t_start_s[3] == 1.2


def test_jittering_stamps_lose_no_window() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(480) * 0.25 + rng.uniform(-0.01, 0.01, 480)
    times_s -= times_s[0]
    values = np.ones(480)
    windows = cut(
        session((times_s, values[:, None]), trace=(times_s, values)),
        WindowSpec(window_s=3, hop_s=3),
    )
    assert len(windows.t_start_s) == 40


def test_nan_counts_only_where_there_is_nothing_else() -> None:
    times_s = np.arange(8) * 0.25
    values = np.array([[1, np.nan], [3, np.nan], [np.nan, np.nan], [5, np.nan]] + [[2, 4]] * 4)
    windows = cut(
        session((times_s, values), trace=(times_s, values[:, 0])), WindowSpec(window_s=1, hop_s=1)
    )
    np.testing.assert_array_equal(windows.features[:, 0], [[3, np.nan], [2, 4]])
    np.testing.assert_array_equal(windows.affect["arousal"], [3, 2])


def test_windows_that_nobody_annotated_are_dropped() -> None:
    times_s = np.arange(12) * 0.25
    trace = np.array([1.0] * 4 + [np.nan] * 4 + [3.0] * 4)
    windows = cut(
        session((times_s, np.ones((12, 1))), trace=(times_s, trace)),
        WindowSpec(window_s=1, hop_s=1),
    )
    np.testing.assert_array_equal(windows.t_start_s, [0, 2])
    assert windows.trace_mean["arousal"] == 2


def test_gap_has_no_windows() -> None:
    times_s = np.array([0.0, 3, 6, 15, 18])
    values = np.arange(5.0)
    gapped = session((times_s, values[:, None]), trace=(times_s, values))
    windows = cut(gapped, WindowSpec(window_s=3, hop_s=3))
    np.testing.assert_array_equal(windows.t_start_s, times_s)
    lagged = cut(gapped, WindowSpec(window_s=3, hop_s=3, lag_s=3))
    np.testing.assert_array_equal(lagged.t_start_s, [3, 6, 18])
    np.testing.assert_array_equal(lagged.features[:, 0, 0], [0, 1, 3])


def test_a_huge_value_stays_in_its_windows() -> None:
    times_s = np.arange(12) * 0.25
    values = np.full((12, 1), 0.1)
    values[0] = 1e30
    windows = cut(
        session((times_s, values), trace=(times_s, values[:, 0])), WindowSpec(window_s=1, hop_s=1)
    )
    np.testing.assert_array_equal(
        windows.features[1:, 0, 0], np.array([0.1, 0.1], dtype=np.float32)
    )


@pytest.mark.parametrize("num_ticks", [0, 1, 2])
def test_too_short_for_any_window(num_ticks: int) -> None:
    windows = cut(ramp(num_ticks, 0.25), WindowSpec(window_s=3, hop_s=1))
    assert windows.features.shape == (0, 1, 1)
    assert windows.t_start_s.shape == windows.affect["arousal"].shape == (0,)


@pytest.mark.parametrize("seed", range(8))
def test_equals_a_slow_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.05, 0.15, 400)) - 0.05
    values = rng.normal(size=(400, 3))
    values[rng.random(values.shape) < 0.3] = np.nan
    trace_s, trace = np.arange(900) * 0.04, rng.normal(size=900)
    spec = WindowSpec(window_s=float(rng.uniform(1, 3)), hop_s=0.4, lag_s=float(rng.uniform(0, 2)))
    windows = cut(session((times_s, values), trace=(trace_s, trace)), spec)

    assert len(windows.t_start_s) > 50
    for row, start in enumerate(windows.t_start_s):
        inside = (trace_s >= start - 1e-9) & (trace_s < start + spec.window_s - 1e-9)
        assert windows.affect["arousal"][row] == pytest.approx(trace[inside].mean(), abs=1e-12)
        led = start - spec.lag_s
        seen = values[(times_s >= led) & (times_s < led + spec.window_s)].astype(np.float32)
        for column in range(3):
            known = seen[~np.isnan(seen[:, column]), column].astype(float)
            expected = known.mean() if len(known) else np.nan
            np.testing.assert_allclose(windows.features[row, 0, column], expected, rtol=1e-6)


def test_steps_of_the_trace_by_hand() -> None:
    """Ticks 0 1 0 3 | 3 2 nan 1: steps that end in the second window: 0, -1."""
    times_s = np.arange(8) * 0.25
    trace = np.array([0, 1, 0, 3, 3, 2, np.nan, 1])
    windows = cut(
        session((times_s, np.ones((8, 1))), trace=(times_s, trace)), WindowSpec(window_s=1, hop_s=1)
    )
    np.testing.assert_allclose(windows.change["arousal"], [5 / 3, 0.5])
    np.testing.assert_allclose(windows.trend["arousal"], [1.0, -0.5])


def test_one_tick_a_window_steps_from_the_one_before_but_not_over_a_gap() -> None:
    times_s = np.array([0.0, 3, 6, 15, 18])
    trace = np.array([0.5, 0.2, 0.6, 0.1, 0.4])
    windows = cut(
        session((times_s, np.ones((5, 1))), trace=(times_s, trace)), WindowSpec(window_s=3, hop_s=3)
    )
    np.testing.assert_allclose(windows.trend["arousal"], [np.nan, -0.3, 0.4, np.nan, 0.3])
    np.testing.assert_allclose(windows.change["arousal"], [np.nan, 0.3, 0.4, np.nan, 0.3])


def test_a_trace_that_comes_back_stands_still() -> None:
    """Up and down again in tenths: steps do not add up to exactly zero."""
    times_s = np.arange(9) * 0.25
    trace = np.array([0.1, 0.3, 0.6, 0.2, 0.1, 0.7, 0.3, 0.4, 0.1])
    windows = cut(
        session((times_s, np.ones((9, 1))), trace=(times_s, trace)),
        WindowSpec(window_s=1, hop_s=0.25),
    )
    index = np.flatnonzero(windows.t_start_s == 0.25)
    assert abs(windows.trend["arousal"][index]) < 1e-9


def test_frames_by_hand() -> None:
    """Twelve ticks a window, four a frame; the lag moves all of them."""
    spec = WindowSpec(window_s=3, hop_s=3, lag_s=1, frames=3)
    windows = cut(ramp(28, 0.25), spec)
    np.testing.assert_array_equal(windows.t_start_s, [3])
    np.testing.assert_array_equal(windows.features, [[[9.5], [13.5], [17.5]]])
    np.testing.assert_array_equal(windows.affect["arousal"], [17.5])


def test_the_last_tick_of_a_frame_that_was_recorded() -> None:
    times_s = np.arange(8) * 0.25
    values = np.array([[1, 5], [2, np.nan], [3, 7], [np.nan, 8]] + [[np.nan, 9]] * 4)
    recorded = session((times_s, values), trace=(times_s, values[:, 1]))
    spec = WindowSpec(window_s=1, hop_s=1, frames=2, pooling="last")
    windows = cut(recorded, spec)
    expected = [[[2, 5], [3, 8]], [[np.nan, 9], [np.nan, 9]]]
    np.testing.assert_array_equal(windows.features, expected)
    np.testing.assert_array_equal(windows.affect["arousal"], [20 / 3, 9])
    whole = cut(recorded, spec.model_copy(update={"frames": 1}))
    np.testing.assert_array_equal(whole.features, [[[3, 8]], [[np.nan, 9]]])


def test_a_frame_without_a_tick_holds_the_one_before() -> None:
    """A slow channel of a tick every 2 s beside a fast one; frames of 1 s."""
    fast_s, slow_s = np.arange(16) * 0.5, np.arange(4) * 2.0
    fast, slow = np.arange(16.0)[:, None], np.arange(4.0)[:, None] * 10
    windows = cut(
        session((fast_s, fast), (slow_s, slow), trace=(fast_s, fast[:, 0])),
        WindowSpec(window_s=4, hop_s=4, frames=4),
    )
    np.testing.assert_array_equal(windows.features[0, :, 1], [0, 0, 10, 10])
    np.testing.assert_array_equal(windows.features[1, :, 1], [20, 20, 30, 30])
    np.testing.assert_array_equal(windows.features[0, :, 0], [0.5, 2.5, 4.5, 6.5])


def test_jitter_empties_no_frame() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(480) * 0.25 + rng.uniform(-0.02, 0.02, 480)
    times_s -= times_s[0]
    values = np.ones(480)
    windows = cut(
        session((times_s, values[:, None]), trace=(times_s, values)),
        WindowSpec(window_s=3, hop_s=3, frames=12),
    )
    assert windows.features.shape == (40, 12, 1)
    assert (windows.features == 1).all()


def test_mean_of_frames_of_equal_length_is_the_mean_of_the_window() -> None:
    framed = cut(ramp(7501, 0.04), WindowSpec(window_s=4, hop_s=0.4, frames=20))
    whole = cut(ramp(7501, 0.04), WindowSpec(window_s=4, hop_s=0.4))
    assert framed.features.shape == (741, 20, 1)
    np.testing.assert_allclose(framed.features.mean(axis=1), whole.features[:, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("frames", "hint"), [(13, "set `windows.frames: 12`, or less"), (480, "12`, or less")]
)
def test_frames_shorter_than_a_tick_are_refused(frames: int, hint: str) -> None:
    with pytest.raises(CorpusError, match=f"`windows.frames: {frames}` makes frames of") as error:
        check_frames(WindowSpec(window_s=3, hop_s=3, frames=frames), 0.25)
    assert error.value.hint is not None
    assert hint in error.value.hint


def test_a_window_of_one_tick_has_one_frame() -> None:
    check_frames(WindowSpec(window_s=3, hop_s=3, frames=1), 3)
    with pytest.raises(CorpusError, match="expected 3 s or more") as error:
        check_frames(WindowSpec(window_s=3, hop_s=3, frames=2), 3)
    assert error.value.hint == "leave `windows.frames` out"


def test_nothing_is_held_from_before_a_gap() -> None:
    """Ticks every second, and 96 s without: a frame in the gap is not recorded."""
    times_s = np.array([0.0, 1, 2, 3, 100, 101, 102])
    values = times_s[:, None]
    gapped = session((times_s, values), trace=(np.arange(120.0), np.ones(120)))
    windows = cut(gapped, WindowSpec(window_s=3, hop_s=3, frames=3))
    row = windows.t_start_s.tolist().index(99)
    np.testing.assert_array_equal(windows.features[row, :, 0], [np.nan, 100, 101])
