"""Requests stay within MLflow's limits and lose nothing."""

from mlflow.utils import validation

from pricon.track import batches as limits
from pricon.track.batches import batches, text
from pricon.track.records import Point


def test_everything_fits_into_one_request_where_it_can() -> None:
    points = [Point(key="loss", value=1.0, step=i) for i in range(800)]
    (only,) = batches(points, {"a": 1}, {"b": "c"})
    assert only == (points, [("a", "1")], [("b", "c")])


def test_more_is_cut_in_order() -> None:
    points = [Point(key="loss", value=1.0, step=i) for i in range(801)]
    params = {f"p{i}": i for i in range(250)}
    parts = list(batches(points, params, {}))
    assert [(len(some), len(pairs), len(tags)) for some, pairs, tags in parts] == [
        (800, 100, 0),
        (1, 100, 0),
        (0, 50, 0),
    ]
    assert [point for some, _, _ in parts for point in some] == points


def test_nothing_makes_no_request() -> None:
    assert list(batches([], {}, {})) == []


def test_long_values_are_cut_visibly() -> None:
    assert text("x" * 1000) == "x" * 1000
    assert text("x" * 1001) == "x" * 997 + "..."
    assert text(None) == "None"


def test_limits_are_within_those_of_this_mlflow() -> None:
    total = limits.POINTS_PER_BATCH + limits.PARAMS_PER_BATCH + limits.TAGS_PER_BATCH
    assert total <= validation.MAX_ENTITIES_PER_BATCH
    assert limits.PARAMS_PER_BATCH <= validation.MAX_PARAMS_TAGS_PER_BATCH
    assert limits.LONGEST_VALUE <= validation.MAX_PARAM_VAL_LENGTH
    assert limits.LONGEST_VALUE <= validation.MAX_TAG_VAL_LENGTH
