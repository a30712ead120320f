"""Lanes one after the other in this process; one that fails leaves the others alone."""

from pathlib import Path

import pytest

from pricon.corpus.reader import open_corpus
from pricon.launch.events import Event, LaneDone, NodesHeld, StagesDone
from pricon.launch.inprocess import InprocessLanes
from pricon.launch.lanes import Assignment
from pricon.plan.plan import Plan
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage


def two_lanes(job: JobSpec) -> tuple[JobSpec, Plan]:
    """A fold a lane, no teachers."""
    resources = job.resources.model_copy(update={"lanes": 2})
    job = job.model_copy(update={"resources": resources, "arms": ("majority", "e2e")})
    plan = plan_trials(job, open_corpus(open_storage(job.corpus.uri)).summary)
    assert len(plan.lanes) == 2
    return job, plan


def test_lanes_run_one_after_the_other_and_end_aloud(job: JobSpec) -> None:
    job, plan = two_lanes(job)
    events: list[Event] = []
    InprocessLanes().run([Assignment.of(job, plan, lane) for lane in (1, 0)], events.append)
    told = [event for event in events if not isinstance(event, NodesHeld)]
    assert told == events
    assert [event.lane for event in told] == sorted((event.lane for event in told), reverse=True)
    assert [event for event in events if isinstance(event, LaneDone)] == [
        LaneDone(lane=1), LaneDone(lane=0),
    ]  # fmt: skip
    assert events[-1] == LaneDone(lane=0)
    for lane in plan.lanes:
        said = [event for event in told if event.lane == lane.index]
        committed = {s for event in said if isinstance(event, StagesDone) for s in event.committed}
        assert committed == {stage.id for stage in plan.stages_of(lane)}


def test_a_lane_that_fails_says_why_and_the_next_one_runs(job: JobSpec, tmp_path: Path) -> None:
    job, plan = two_lanes(job)
    gone = job.corpus.model_copy(update={"uri": str(tmp_path / "gone")})
    broken = job.model_copy(update={"corpus": gone})
    events: list[Event] = []
    lanes = [Assignment.of(broken, plan, 0), Assignment.of(job, plan, 1)]
    InprocessLanes().run(lanes, events.append)
    first, *others = events
    assert isinstance(first, LaneDone)
    assert first.lane == 0
    assert f"there is no corpus at {tmp_path / 'gone'}" in (first.error or "")
    assert others[-1] == LaneDone(lane=1)
    assert any(isinstance(event, StagesDone) and event.committed for event in others)


def test_what_is_no_error_of_ours_is_not_swallowed(job: JobSpec) -> None:
    """Ctrl-C, and a bug."""
    job, plan = two_lanes(job)
    for raised in (KeyboardInterrupt("stop"), ZeroDivisionError("bug")):

        def listen(event: Event, raised: BaseException = raised) -> None:
            raise raised

        with pytest.raises(type(raised), match=str(raised)):
            InprocessLanes().run([Assignment.of(job, plan, 0)], listen)
