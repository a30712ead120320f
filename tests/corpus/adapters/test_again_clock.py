"""When rows were recorded: which clock is believed."""

import numpy as np
import pyarrow as pa
import pytest

from pricon.corpus.adapters.again_clock import tick_times


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["10.1", "10.36", "10.62"], [0, 0.26, 0.52]),
        (["1600000000000", "1600000000250", "1600000000510"], [0, 0.25, 0.51]),
        (["7", "8", "10", "11"], [0, 0.25, 0.75, 1]),
        (["0 days 00:00:59.750000", "0 days 00:01:00", "0 days 00:01:00.500000"], [0, 0.25, 0.75]),
        (["0", "0", "0"], [0, 0.25, 0.5]),
        (["0.5", "0.25", "0.75"], [0, 0.25, 0.5]),
        ([None, "0.25", "0.5"], [0, 0.25, 0.5]),
        (["0", "0.001", "0.002"], [0, 0.25, 0.5]),
        (["soon", "later", "late"], [0, 0.25, 0.5]),
        (["3"], [0]),
    ],
    ids=[
        "seconds",
        "milliseconds",
        "numbers of rows",
        "durations",
        "standing",
        "falling",
        "missing",
        "too fast",
        "words",
        "one row",
    ],
)
def test_one_clock(stamps: list[str | None], expected: list[float]) -> None:
    times_s = tick_times([pa.array(stamps, pa.string())], len(stamps))
    np.testing.assert_allclose(times_s, expected, atol=1e-9)


def test_first_clock_that_can_be_believed() -> None:
    standing, rising = pa.array(["0", "0", "0"]), pa.array(["0", "0.3", "0.6"])
    np.testing.assert_allclose(tick_times([standing, rising], 3), [0, 0.3, 0.6])


def test_no_clock() -> None:
    np.testing.assert_array_equal(tick_times([], 3), [0, 0.25, 0.5])
