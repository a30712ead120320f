"""What a user sees while a run works."""

import io

import pytest
from rich.console import Console

from pricon.cli.progress import Progress, _clock, building
from pricon.launch.events import (
    CheckpointKept,
    EpochDone,
    LaneDone,
    LaneRestarted,
    StagesDone,
    WorkerHung,
)
from pricon.plan.plan import Plan
from pricon.plan.trials import plan_trials
from pricon.report.results import TrialResult
from pricon.spec.job import JobSpec
from tests.plan.problem import job, summary


def started(width: int = 200, *, terminal: bool = False) -> tuple[Progress, Plan, io.StringIO]:
    spec: JobSpec = job(resources={"lanes": 2})
    plan = plan_trials(spec, summary())
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal)
    return Progress(plan, spec, console), plan, out


def epoch(epoch: int, role: str = "student", objective: str = "distillation") -> EpochDone:
    return EpochDone(
        lane=0,
        pack="fps student frames",
        role=role,
        objective=objective,
        epoch=epoch,
        epochs=50,
        live=14,
        members=15,
        validation_loss=0.6931,
    )


def finished(plan: Plan, index: int) -> TrialResult:
    trial = plan.trials[index]
    return TrialResult(
        trial=trial, cell=plan.cells[trial.cell], status="finished", num_windows={}, share_high={}
    )


def test_a_line_tells_stage_epoch_trials_and_time_left() -> None:
    progress, plan, out = started()
    progress.told = -1e9
    progress.finished(finished(plan, 0))
    progress.listen(epoch(12))
    line = out.getvalue()
    assert "1 of 50 trials" in line
    assert "lane 0: fps student frames  epoch 12 of 50  14 of 15 models  loss 0.693" in line
    assert "lane 1: starting" in line
    assert "elapsed, " in line
    assert "left" in line


@pytest.mark.parametrize("terminal", [False, True])
def test_a_lane_that_begins_again_is_told_at_once(terminal: bool) -> None:
    progress, _, out = started(terminal=terminal)
    progress.listen(epoch(12))
    progress.listen(LaneRestarted(lane=0))
    assert out.getvalue() == "lane 0 begins again, from what it saved\n"
    assert progress.lanes[0] == "starting again"
    assert progress.running == {}


def test_a_worker_that_hangs_is_told_with_its_place() -> None:
    progress, _, out = started()
    progress.listen(WorkerHung(lane=3, rank=1, seconds=1800.0, place="`read` (pricon/a.py:7)"))
    told = "lane 3: worker 1 got no further for 1800 s, in `read` (pricon/a.py:7); it is ended\n"
    assert out.getvalue() == told


def test_a_checkpoint_changes_nothing_that_is_shown() -> None:
    progress, _, _ = started()
    progress.listen(epoch(12))
    before = (progress.fraction, dict(progress.lanes), dict(progress.running))
    progress.listen(CheckpointKept(lane=0, epoch=12, batches=400))
    progress.listen(CheckpointKept(lane=1, epoch=0, batches=400))
    assert (progress.fraction, progress.lanes, progress.running) == before


def test_lines_come_seldom() -> None:
    progress, _, out = started()
    for number in range(1, 50):
        progress.listen(epoch(number))
    assert out.getvalue() == ""


def test_the_fraction_rises_to_one_and_never_above() -> None:
    progress, plan, _ = started()
    seen = [progress.fraction]
    for number in (1, 25, 50):
        progress.listen(epoch(number))
        seen.append(progress.fraction)
    progress.listen(StagesDone(lane=0, committed=tuple(stage.id for stage in plan.stages)))
    seen.append(progress.fraction)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_stages_count_once_however_often_they_are_told() -> None:
    progress, plan, _ = started()
    lupi = next(i for i, trial in enumerate(plan.trials) if trial.arm == "lupi")
    progress.listen(StagesDone(lane=0, committed=plan.trials[lupi].stages))
    once = progress.fraction
    progress.finished(finished(plan, lupi))
    assert progress.fraction == once


def test_failures_and_lanes_that_end_are_shown() -> None:
    progress, plan, out = started()
    progress.listen(StagesDone(lane=0, failed={plan.stages[-1].id: "validation loss is nan"}))
    progress.listen(LaneDone(lane=0))
    progress.told = -1e9
    progress.listen(LaneDone(lane=1, error="shard is damaged"))
    line = out.getvalue()
    assert "1 stages failed" in line
    assert "lane 0: done; lane 1: stopped by an error" in line
    assert progress.errors == {1: "shard is damaged"}


def test_a_terminal_gets_a_panel_that_goes_away() -> None:
    progress, _, out = started(80, terminal=True)
    with progress:
        progress.listen(epoch(3))
        progress.live.refresh()
    shown = out.getvalue()
    assert "epoch 3 of 50" in shown
    assert "0 of 50 trials" in shown


def test_what_comes_after_the_last_lane_is_told() -> None:
    progress, _, out = started()
    progress.then = "writing the report"
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert out.getvalue() == ""
    with progress:
        pass
    assert out.getvalue() == "writing the report\n"


def test_the_build_of_a_corpus_is_told_in_tenths() -> None:
    out = io.StringIO()
    tell = building(Console(file=out, width=100))
    for done in range(1, 101):
        tell(done, 100)
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "building the corpus: 100 of 100 units"


def test_clocks() -> None:
    assert [_clock(s) for s in (0.4, 59.6, 61, 3600, 3725)] == [
        "0:00", "1:00", "1:01", "1:00:00", "1:02:05",
    ]  # fmt: skip
