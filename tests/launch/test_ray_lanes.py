"""What is said of a lane that lost its workers."""

from concurrent.futures import Future

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
