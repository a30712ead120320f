"""Events cross from worker to driver as they are."""

import pickle

import pytest

from pricon.launch.events import (
    CheckpointKept,
    EpochDone,
    Event,
    LaneDone,
    PackBegun,
    StagesDone,
    WorkerHung,
)


@pytest.mark.parametrize(
    "event",
    [
        EpochDone(
            lane=1, pack="fps teacher frames", role="teacher", objective="contrastive", epoch=3,
            epochs=9, live=2, members=4, validation_loss=None,
        ),
        CheckpointKept(lane=1, epoch=0, batches=4000),
        PackBegun(lane=1, stages=("a", "b")),
        StagesDone(lane=0, committed=("a", "b")),
        StagesDone(lane=0, failed={"a": "validation loss is nan"}),
        LaneDone(lane=2, error="corpus is gone"),
        WorkerHung(lane=1, rank=0, seconds=0.5, place="`read`"),
    ],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_events_pickle(event: Event) -> None:
    assert pickle.loads(pickle.dumps(event)) == event


def test_a_lane_that_says_nothing_more_ended_well() -> None:
    assert LaneDone(lane=0).error is None
    assert not StagesDone(lane=0).failed
