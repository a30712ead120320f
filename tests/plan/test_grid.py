"""Points of a grid, what they train, and what they share."""

from collections import Counter
from typing import Any

import pytest

from pricon.plan.grid import job_at, points_of
from pricon.plan.identity import identity
from pricon.plan.plan import UNTOUCHED, Plan, Setting
from pricon.plan.trials import plan_trials
from tests.plan.problem import job, summary

GRID = {
    "distillation_weight": [0.1, 0.25],
    "distillation_temperature": [0.5, 1, 2],
    "contrastive_temperature": [0.05, 0.1, 0.2, 0.5],
}
ARMS = ["e2e", "lupi", "pricon"]


def planned(**changes: Any) -> Plan:
    return plan_trials(job(**{"arms": ARMS, "sensitivity": GRID, **changes}), summary())


def test_a_grid_is_the_product_of_its_axes_with_the_jobs_own_point_first() -> None:
    points = points_of(job(arms=ARMS, sensitivity=GRID))
    assert len(points) == len({*points}) == 24
    own = Setting(
        distillation_weight=0.25, distillation_temperature=0.5, contrastive_temperature=0.1
    )
    assert points[0] == own
    assert points_of(job()) == ()
    fewer = points_of(job(arms=ARMS, sensitivity={"distillation_weight": [0.25, 0.5]}))
    assert [(p.distillation_temperature, p.contrastive_temperature) for p in fewer] == [
        (0.5, 0.1)
    ] * 2


def test_the_job_at_a_point_differs_in_nothing_else() -> None:
    asked = job(arms=ARMS, sensitivity=GRID)
    own, *others = points_of(asked)
    assert job_at(asked, own) == asked
    for point in others:
        there = job_at(asked, point)
        assert there != asked
        assert (
            there.student.distillation.weight,
            there.student.distillation.temperature,
            there.teacher.contrastive.temperature,
        ) == tuple(point.to_dict().values())
        assert job_at(there, own) == asked


def test_every_stage_is_planned_once_for_each_value_that_touches_it() -> None:
    """Ten cells; 2 weights, 3 distillation temperatures, 4 contrastive ones."""
    plan = planned()
    kinds = Counter((stage.role, stage.objective) for stage in plan.stages)
    assert kinds == {
        ("teacher", "cross_entropy"): 10,
        ("teacher", "contrastive"): 10 * 4,
        ("probe", "cross_entropy"): 10 * 4,
        ("student", "distillation"): 10 * (1 + 2 * 3 + 2 * 3 * 4),
    }
    assert Counter(trial.arm for trial in plan.trials) == {"e2e": 10, "lupi": 60, "pricon": 240}
    assert len({trial.id for trial in plan.trials}) == len(plan.trials)


def test_trials_and_stages_say_what_touches_them() -> None:
    plan = planned()
    settings = {(trial.arm, trial.setting) for trial in plan.trials}
    assert len(settings) == 1 + 6 + 24
    assert ("e2e", UNTOUCHED) in settings
    assert {s for arm, s in settings if arm == "pricon"} == {*plan.grid}
    assert all(s.contrastive_temperature is None for arm, s in settings if arm == "lupi")
    for trial in plan.trials:
        chain = [plan.stage_by_id[stage] for stage in trial.stages]
        if trial.arm == "pricon":
            teacher, probe, student = chain
            assert teacher.setting == Setting(
                contrastive_temperature=trial.setting.contrastive_temperature
            )
            assert probe.setting == UNTOUCHED
            assert student.setting.distillation_weight == trial.setting.distillation_weight
            assert student.setting.contrastive_temperature is None
    by_id = {stage.id: stage.setting for stage in plan.stages}
    assert len(by_id) == len(plan.stages)


def test_controls_are_touched_by_what_they_train_with() -> None:
    plan = planned(arms=["e2e", "lupi_privileged", "pricon", "pricon_shuffled", "pricon_random"])
    counts = Counter(trial.arm for trial in plan.trials)
    assert counts == {
        "e2e": 10, "lupi_privileged": 60, "pricon": 240, "pricon_shuffled": 240,
        "pricon_random": 60,
    }  # fmt: skip


def test_students_of_embeddings_have_no_temperature() -> None:
    student = {"distillation": {"imitate": "embedding"}}
    plan = planned(student=student, sensitivity={"distillation_weight": [0.25, 1]})
    lupi = {trial.setting for trial in plan.trials if trial.arm == "lupi"}
    assert lupi == {Setting(distillation_weight=0.25), Setting(distillation_weight=1.0)}


def test_only_encoders_that_nobody_judges_are_shared_with_an_ordinary_job() -> None:
    ordinary = plan_trials(job(arms=ARMS), summary())
    grid = planned()
    shared = {s.id for s in ordinary.stages} & {s.id for s in grid.stages}
    assert {grid.stage_by_id[i].objective for i in shared} == {"contrastive"}
    assert len(shared) == 10, "those of the job's own tau"
    assert {s.judged_on for s in grid.stages} == {None, "validation"}
    assert {s.judged_on for s in ordinary.stages} == {None, "test"}
    assert not {t.id for t in ordinary.trials} & {t.id for t in grid.trials}
    assert (ordinary.judged_on, grid.judged_on) == ("test", "validation")


def test_a_larger_grid_takes_over_what_a_smaller_one_has_trained() -> None:
    smaller = planned(sensitivity={**GRID, "distillation_weight": [0.25]})
    assert {s.id for s in smaller.stages} < {s.id for s in planned().stages}


def test_an_ordinary_job_has_no_settings() -> None:
    plan = plan_trials(job(), summary())
    assert plan.grid == ()
    assert {trial.setting for trial in plan.trials} == {UNTOUCHED}


def test_the_same_grid_around_another_own_point_is_another_run() -> None:
    plan = planned()
    other = planned(student={"distillation": {"temperature": 2}})
    assert [{trial.id for trial in p.trials} for p in (plan, other)] == [
        {trial.id for trial in plan.trials}
    ] * 2
    assert plan.run_id != other.run_id
    assert planned().run_id == plan.run_id


def test_the_identity_of_an_ordinary_run_is_that_of_its_trials() -> None:
    plan = plan_trials(job(), summary())
    assert plan.run_id == identity([plan.job_name, sorted(trial.id for trial in plan.trials)])


def test_the_judges_of_a_fold_are_never_its_test_participants_but_those_of_others() -> None:
    """What makes a choice within a fold clean, under all seeds, and one over all folds not."""
    plan = planned()
    folds = {cell.fold for cell in plan.cells}
    tested: set[str] = set()
    for fold in folds:
        splits = [cell.split for cell in plan.cells if cell.fold == fold]
        judges = {person for split in splits for person in split.validation}
        (test,) = {split.test for split in splits}
        assert judges.isdisjoint(test)
        tested |= {*test}
    assert len(folds) > 1
    assert {person for cell in plan.cells for person in cell.split.validation} <= tested


def test_the_plan_of_a_grid_is_data() -> None:
    plan = planned()
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (UNTOUCHED, ""),
        (Setting(distillation_weight=0.25, distillation_temperature=2), "a 0.25, T 2"),
        (Setting(contrastive_temperature=0.05), "tau 0.05"),
    ],
)
def test_settings_in_words(setting: Setting, words: str) -> None:
    assert str(setting) == words


def test_settings_agree_where_both_say_something() -> None:
    student = Setting(distillation_weight=0.25, distillation_temperature=2)
    teacher = Setting(contrastive_temperature=0.1)
    both = Setting.union([teacher, UNTOUCHED, student])
    assert both == Setting(
        distillation_weight=0.25, distillation_temperature=2, contrastive_temperature=0.1
    )
    assert student.agrees(both)
    assert teacher.agrees(student)
    assert not Setting(distillation_weight=0.5).agrees(both)
