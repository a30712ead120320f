"""The guard refuses every leak that can be made by hand."""

from dataclasses import replace

import pytest

from pricon.errors import PlanError
from pricon.plan.leakage import check_leakage
from pricon.plan.trials import plan_trials
from tests.plan.problem import job, summary


def test_a_sound_plan_passes_and_says_what_was_seen() -> None:
    checks = check_leakage(plan_trials(job(), summary()), summary())
    assert [check.name for check in checks] == [
        "participants",
        "recordings",
        "teachers",
        "students",
    ]
    assert "all 20 supervised students" in checks[2].seen


def test_a_participant_in_two_splits() -> None:
    plan = plan_trials(job(), summary())
    cell = plan.cells[0]
    split = replace(cell.split, train=(*cell.split.train, cell.split.test[0]))
    leaking = replace(plan, cells=(replace(cell, split=split), *plan.cells[1:]))
    with pytest.raises(PlanError, match=f"participant {cell.split.test[0]} is in two splits"):
        check_leakage(leaking, summary())


def test_the_same_recording_under_two_participants() -> None:
    corpus = summary()
    copy = replace(corpus.sessions[1], sha256=corpus.sessions[0].sha256)
    leaking = replace(corpus, sessions=(corpus.sessions[0], copy, *corpus.sessions[2:]))
    with pytest.raises(PlanError, match="the same recording stands under two participants"):
        check_leakage(plan_trials(job(), corpus), leaking)


def test_one_session_of_two_participants() -> None:
    corpus = summary()
    twin = replace(corpus.sessions[1], id=corpus.sessions[0].id)
    leaking = replace(corpus, sessions=(corpus.sessions[0], twin, *corpus.sessions[2:]))
    with pytest.raises(PlanError, match="belongs to two participants: P00 and P01"):
        check_leakage(plan_trials(job(), corpus), leaking)


def test_a_teacher_of_another_fold() -> None:
    plan = plan_trials(job(), summary())
    teachers = [s for s in plan.stages if s.objective == "cross_entropy" and s.role == "teacher"]
    student = next(s for s in plan.stages if s.source == teachers[0].id)
    moved = replace(student, source=teachers[1].id)
    stages = tuple(moved if stage is student else stage for stage in plan.stages)
    with pytest.raises(
        PlanError, match=r"student .* of fps arousal fold 0 seed 0 builds on teacher .* seed 1"
    ):
        check_leakage(replace(plan, stages=stages), summary())


def test_a_student_that_reads_privileged_modalities() -> None:
    plan = plan_trials(job(), summary())
    student = next(stage for stage in plan.stages if stage.role == "student")
    greedy = replace(student, modalities=("frames", "telemetry"))
    stages = tuple(greedy if stage is student else stage for stage in plan.stages)
    with pytest.raises(PlanError, match=r"the student of trial \w+ reads telemetry"):
        check_leakage(replace(plan, stages=stages), summary())
