"""Windows: values by hand, equality with a slow loop, and which windows there are."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pricon.corpus.session import Channel, Session, Trace
from pricon.corpus.windows import cut
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
    np.testing.assert_array_equal(windows.features, [[1.5], [3.5], [5.5]])
    np.testing.assert_array_equal(windows.affect["arousal"], [1.5, 3.5, 5.5])
    assert windows.feature_names == ("c0.f0",)
    assert windows.trace_mean == {"arousal": 3.5}
    assert windows.features.dtype == np.float32
    assert windows.affect["arousal"].dtype == np.float64


def test_lag_shifts_the_input_only() -> None:
    windows = cut(ramp(16, 0.25), WindowSpec(window_s=1, hop_s=1, lag_s=0.5))
    np.testing.assert_array_equal(windows.t_start_s, [1, 2, 3])
    np.testing.assert_array_equal(windows.affect["arousal"], [5.5, 9.5, 13.5])
    np.testing.assert_array_equal(windows.features[:, 0], [3.5, 7.5, 11.5])


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
    np.testing.assert_allclose(windows.features[:, 0], np.arange(741) * 10 + 49.5, rtol=1e-6)
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
    np.testing.assert_array_equal(windows.features, [[3, np.nan], [2, 4]])
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
    np.testing.assert_array_equal(lagged.features[:, 0], [0, 1, 3])


def test_a_huge_value_stays_in_its_windows() -> None:
    times_s = np.arange(12) * 0.25
    values = np.full((12, 1), 0.1)
    values[0] = 1e30
    windows = cut(
        session((times_s, values), trace=(times_s, values[:, 0])), WindowSpec(window_s=1, hop_s=1)
    )
    np.testing.assert_array_equal(windows.features[1:, 0], np.array([0.1, 0.1], dtype=np.float32))


@pytest.mark.parametrize("num_ticks", [0, 1, 2])
def test_too_short_for_any_window(num_ticks: int) -> None:
    windows = cut(ramp(num_ticks, 0.25), WindowSpec(window_s=3, hop_s=1))
    assert windows.features.shape == (0, 1)
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
            np.testing.assert_allclose(windows.features[row, column], expected, rtol=1e-6)


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
