"""What fits into one request to MLflow. Pure; the limits are MLflow's."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

from pricon.track.records import Point, Value

POINTS_PER_BATCH = 800
PARAMS_PER_BATCH = TAGS_PER_BATCH = 100
"""Together MLflow's 1,000 entities a request."""

LONGEST_VALUE = 1000
"""Params and tags are cut here, far below MLflow's limits, so that a request stays below 1 MB."""

Pair = tuple[str, str]

_T = TypeVar("_T")


def batches(
    points: Sequence[Point], params: Mapping[str, Value], tags: Mapping[str, str]
) -> Iterator[tuple[Sequence[Point], Sequence[Pair], Sequence[Pair]]]:
    """Points, params and tags in as few requests as MLflow allows; the points in their order."""
    yield from zip_longest(
        _chunks(points, POINTS_PER_BATCH),
        _chunks([(key, text(value)) for key, value in params.items()], PARAMS_PER_BATCH),
        _chunks([(key, text(value)) for key, value in tags.items()], TAGS_PER_BATCH),
        fillvalue=(),
    )


def text(value: Value) -> str:
    """A value as MLflow keeps it."""
    whole = str(value)
    return whole if len(whole) <= LONGEST_VALUE else f"{whole[: LONGEST_VALUE - 3]}..."


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
