"""What is said of a lane that lost its workers."""

from concurrent.futures import Future
from typing import Any

from ray.exceptions import OutOfMemoryError
from ray.train import ControllerError

from pricon.launch.ray_lanes import _lost


def ended(error: Exception | None) -> Future[None]:
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def test_a_lane_that_ended_well_has_lost_nothing() -> None:
    assert _lost(ended(None), None) is None
    assert _lost(ended(None), "worker 0 got no further") is None, "before it went on"


def test_the_last_line_of_an_error_is_told() -> None:
    error = RuntimeError("Traceback\n  File\nThe actor died")
    assert _lost(ended(error), None) == "its workers were lost: RuntimeError: The actor died"
    assert _lost(ended(RuntimeError()), None) == "its workers were lost: RuntimeError: "


def test_a_hang_is_told_rather_than_the_death_that_ended_it() -> None:
    hung = "worker 1 got no further for 1800 s, in `read` (pricon/stores/s3.py:112)"
    assert _lost(ended(RuntimeError("The actor died")), hung) == f"its workers hung: {hung}"


def test_who_was_killed_for_want_of_memory_is_told_and_where() -> None:
    err: Any = OutOfMemoryError
    controller = _lost(ended(err("7.5GB used / 8.0GB")), None)
    assert controller == (
        "its controller was killed for want of memory: 7.5GB of 8.0GB were taken on the driver's "
        "node; fewer `resources.lanes_at_once` take less there"
    )
    workers = _lost(ended(ControllerError(err("7.5GB used / 8.0GB"))), None)
    assert workers is not None
    assert workers.startswith("its workers were killed for want of memory: 7.5GB of 8.0GB were")
