"""What a driver hears of its lanes, and how far it knows them to be."""

import time
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError, RpcError

from pricon.errors import LaunchError
from pricon.launch.bulletins import EndBulletin
from pricon.launch.events import (
    CheckpointKept,
    EpochDone,
    LaneEvent,
    LaneRestarted,
    StagesDone,
    WorkerHung,
)
from pricon.launch.mailbox import Mailbox, rays_failures


def epoch(number: int, lane: int = 0) -> EpochDone:
    return EpochDone(
        lane=lane,
        pack="fps student frames",
        role="student",
        objective="distillation",
        epoch=number,
        epochs=50,
        live=1,
        members=1,
        validation_loss=0.5,
    )


def kept(epochs: int, batches: int, lane: int = 0) -> CheckpointKept:
    return CheckpointKept(lane=lane, epoch=epochs, batches=batches)


def said(mailbox: Mailbox) -> list[LaneEvent]:
    return [event for _, event in mailbox.take()]


def test_events_are_taken_once_and_in_order() -> None:
    mailbox = Mailbox()
    told: list[LaneEvent] = [epoch(1), StagesDone(lane=0, committed=("a",)), epoch(1, lane=1)]
    for event in told:
        mailbox.put(event)
    assert said(mailbox) == told
    assert said(mailbox) == []


def test_a_lane_gets_further_by_epochs_and_by_packs() -> None:
    mailbox = Mailbox()
    seen = [mailbox.distance_of(0)]
    further: list[LaneEvent] = [
        kept(0, 5000), kept(0, 9000), epoch(1), kept(1, 1), epoch(7), kept(7, 4),
        StagesDone(lane=0, committed=("a",)), kept(0, 1), epoch(1),
    ]  # fmt: skip
    for event in further:
        mailbox.put(event)
        seen.append(mailbox.distance_of(0))
    assert seen == sorted({*seen}), "each further than the one before"
    assert mailbox.distance_of(1) == (0, 0, 0)


def test_events_have_the_moment_at_which_they_came() -> None:
    mailbox = Mailbox()
    moments = [time.monotonic()]
    for number in (1, 2):
        mailbox.put(epoch(number))
        moments.append(time.monotonic())
    (one, _), (other, _) = mailbox.take()
    assert moments[0] <= one <= moments[1] <= other <= moments[2]


def test_losses_are_counted_by_lane() -> None:
    mailbox = Mailbox()
    for lane in (0, 1, 0):
        mailbox.lose(lane)
    assert [mailbox.losses_of(lane) for lane in (0, 1, 2)] == [2, 1, 0]
    assert said(mailbox) == [LaneRestarted(lane=lane) for lane in (0, 1, 0)]


def test_of_workers_that_hang_the_first_is_named_until_the_lane_goes_on() -> None:
    """The others may have waited for it, as ranks do."""
    mailbox = Mailbox()
    read, waited = (
        WorkerHung(lane=0, rank=rank, seconds=60.0, place=place)
        for rank, place in ((1, "`read`"), (0, "`sum`"))
    )
    mailbox.put(read)
    mailbox.put(waited)
    assert mailbox.hang_of(0) == "worker 1 got no further for 60 s, in `read`"
    assert mailbox.hang_of(1) is None
    mailbox.lose(0)
    assert mailbox.hang_of(0) is None
    assert said(mailbox) == [read, waited, LaneRestarted(lane=0)]
    mailbox.put(waited)  # it had no time to be heard before
    mailbox.put(kept(0, 1))
    assert mailbox.hang_of(0) is None, "another loss has another reason"


def test_a_lane_gets_further_within_an_epoch_of_hours() -> None:
    """Nodes are lost hourly: each attempt ends in the first epoch, beyond the one before."""
    mailbox = Mailbox()
    begun = mailbox.distance_of(0)
    for batches in (4000, 8000, 12000):
        mailbox.put(kept(0, batches))
        reached = mailbox.distance_of(0)
        assert reached > begun
        begun = reached


def test_doing_the_same_again_is_not_further() -> None:
    mailbox = Mailbox()
    mailbox.put(epoch(7))
    mailbox.put(kept(7, 30))
    before = mailbox.distance_of(0)
    same: list[LaneEvent] = [
        epoch(1), kept(1, 31), kept(7, 29), epoch(7), kept(7, 30),
        StagesDone(lane=0, failed={"a": "diverged"}),
    ]  # fmt: skip
    for event in same:
        mailbox.put(event)
    assert mailbox.distance_of(0) == before


def test_an_error_is_kept_for_its_lane() -> None:
    mailbox = Mailbox()
    mailbox.fail(1, "no such shard")
    assert (mailbox.error_of(0), mailbox.error_of(1)) == (None, "no such shard")


RPC_ERROR: Any = RpcError  # Ray has no types here


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ActorDiedError(), "ActorDiedError: The actor died"),
        (RPC_ERROR("GCS is away\nmore"), "RpcError: GCS is away"),
        (ConnectionResetError("peer"), "ConnectionResetError: peer"),
    ],
)
def test_a_failure_of_ray_is_no_defect(error: Exception, words: str) -> None:
    match = f"^Ray failed beside the driver: {words}"
    with pytest.raises(LaunchError, match=match) as caught, rays_failures():
        raise error
    assert "\n" not in caught.value.message
    assert "submit again to go on: finished trials are kept" in str(caught.value.hint)
    end = EndBulletin.of_error(caught.value)
    assert (end.cause, end.exit_code, end.is_final) == ("infrastructure", 3, False)


def test_a_failure_of_our_code_in_ray_is_a_defect() -> None:
    task: Any = RayTaskError
    error = task("take", "Traceback", KeyError("lane")).as_instanceof_cause()
    with pytest.raises(RayTaskError) as caught, rays_failures():
        raise error
    assert EndBulletin.of_error(caught.value).cause == "defect"
