"""What events say in numbers. That Prometheus can read them is tested in `test_joined.py`."""

import logging
import math
from dataclasses import replace

import pytest

from pricon.launch.events import (
    CheckpointKept,
    EpochDone,
    LaneDone,
    LaneEvent,
    LaneRestarted,
    PackBegun,
    StagesDone,
)
from pricon.launch.gauges import METRICS, Gauges, readings_of


def epoch(loss: float | None, lane: int = 2) -> EpochDone:
    return EpochDone(
        lane=lane,
        pack="fps teacher telemetry",
        role="teacher",
        objective="contrastive",
        epoch=7,
        epochs=50,
        live=3,
        members=4,
        validation_loss=loss,
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (PackBegun(lane=2, stages=("a", "b")), {"pricon_live_members": 2}),
        (LaneRestarted(lane=2), {"pricon_live_members": 0}),
        (
            epoch(0.5),
            {"pricon_epoch": 7, "pricon_live_members": 3, "pricon_validation_loss": 0.5},
        ),
        (epoch(None), {"pricon_epoch": 7, "pricon_live_members": 3}),
        (epoch(math.nan), {"pricon_epoch": 7, "pricon_live_members": 3}),
        (epoch(math.inf), {"pricon_epoch": 7, "pricon_live_members": 3}),
        (
            StagesDone(lane=2, committed=("a", "b", "c")),
            {"pricon_live_members": 0, "pricon_stages_committed": 3},
        ),
        (
            StagesDone(lane=2, failed={"a": "diverged"}),
            {"pricon_live_members": 0, "pricon_stages_failed": 1},
        ),
        (CheckpointKept(lane=2, epoch=6, batches=40), {}),
        (LaneDone(lane=2, error="lost"), {}),
    ],
)
def test_what_an_event_says(event: LaneEvent, said: dict[str, float]) -> None:
    readings = [*readings_of(event)]
    assert {reading.metric: reading.value for reading in readings} == said
    for reading in readings:
        assert tuple(reading.labels) == METRICS[reading.metric].labels
        assert reading.labels["lane"] == "2"


def test_a_loss_is_of_a_kind_of_stage() -> None:
    (loss,) = (r for r in readings_of(epoch(0.5)) if r.metric == "pricon_validation_loss")
    assert loss.labels == {"lane": "2", "stage": "teacher", "objective": "contrastive"}


def test_gauges_of_lanes_that_go_on_are_kept() -> None:
    gauges = Gauges()
    events: list[LaneEvent] = [epoch(0.5), epoch(0.4), epoch(0.3, lane=1), LaneDone(lane=1)]
    for event in events:
        gauges.show(event)
    assert {key: reading.value for key, reading in gauges.newest.items()} == {
        (2, "pricon_epoch"): 7,
        (2, "pricon_live_members"): 3,
        (2, "pricon_validation_loss"): 0.4,
    }


def test_an_error_of_rays_ends_the_export_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gauges = Gauges()
    with caplog.at_level(logging.WARNING):
        gauges.show(replace(epoch(0.5), epoch="seven"))  # type: ignore[arg-type]
        gauges.show(epoch(0.5))
        gauges.repeat()
    (record,) = caplog.records
    assert record.getMessage() == (
        "no metrics of training any more: TypeError: value must be int or float, got <class 'str'>."
    )
