"""Trials, stages, lanes, identities, and what a corpus cannot give."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from pricon.errors import PlanError
from pricon.plan.plan import Cell, Plan
from pricon.plan.trials import plan_trials
from tests.plan.problem import job, summary


def test_every_arm_in_every_cell_with_shared_teachers() -> None:
    plan = plan_trials(job(), summary())
    assert len(plan.cells) == 10
    assert Counter(trial.arm for trial in plan.trials) == dict.fromkeys(
        ("majority", "e2e", "lupi", "pricon", "all_modalities"), 10
    )
    kinds = Counter((stage.role, stage.objective) for stage in plan.stages)
    assert kinds == {
        ("majority", "majority"): 10,
        ("teacher", "cross_entropy"): 10,
        ("teacher", "contrastive"): 10,
        ("probe", "cross_entropy"): 10,
        ("student", "distillation"): 30,
    }
    assert len({trial.id for trial in plan.trials}) == len(plan.trials)


def test_seeds_with_the_same_split_are_trials_of_their_own() -> None:
    few = plan_trials(job(seeds=list(range(30)), folds={"count": 2}), summary(participants=6))
    splits = {(cell.fold, cell.split) for cell in few.cells}
    assert len(splits) < len(few.cells), "some seeds must agree by chance"
    assert len({trial.id for trial in few.trials}) == len(few.trials)


def test_chains_lead_from_teacher_to_student() -> None:
    plan = plan_trials(job(), summary())
    chains = {
        trial.arm: [plan.stage_by_id[stage].role for stage in trial.stages] for trial in plan.trials
    }
    assert chains == {
        "majority": ["majority"],
        "e2e": ["student"],
        "lupi": ["teacher", "student"],
        "pricon": ["teacher", "probe", "student"],
        "all_modalities": ["teacher"],
    }
    by_arm = {trial.arm: trial for trial in plan.trials if trial.cell == 3}
    assert by_arm["lupi"].stages[0] == by_arm["all_modalities"].stages[-1]


def test_several_available_sets_are_students_of_the_same_teachers() -> None:
    modalities = {"available": ["a", ["a", "b"]], "privileged": ["c"]}
    corpus = summary()
    corpus = type(corpus)(
        digest=corpus.digest,
        generated=False,
        modalities=("a", "b", "c"),
        affects=corpus.affects,
        sessions=corpus.sessions,
    )
    plan = plan_trials(job(modalities=modalities, arms=["lupi"], seeds=[0]), corpus)
    assert {trial.available for trial in plan.trials} == {("a",), ("a", "b")}
    assert len([stage for stage in plan.stages if stage.role == "teacher"]) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"resources": {"lanes": 7, "workers_per_lane": 4, "pack_members": 3}},
        {"output": "elsewhere"},
        {"target": "inprocess"},
        {"tracking": {"uri": "http://127.0.0.1:1"}},
        {"corpus": {"adapter": "again", "uri": "s3://elsewhere/tiny", "source": "x"}},
    ],
)
def test_where_and_how_wide_changes_no_identity(change: dict[str, Any]) -> None:
    before, after = plan_trials(job(), summary()), plan_trials(job(**change), summary())
    assert before.run_id == after.run_id
    assert [t.id for t in before.trials] == [t.id for t in after.trials]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"student": {"distillation": {"weight": 0.5}}}, {"lupi", "pricon"}),
        ({"student": {"encoder": {"width": 32}}}, {"e2e", "lupi", "pricon"}),
        ({"teacher": {"contrastive": {"temperature": 0.2}}}, {"pricon"}),
        ({"teacher": {"contrastive": {"contrast": "trend"}}}, {"pricon"}),
        (
            {"student": {"distillation": {"imitate": "embedding"}}},
            {"lupi", "pricon", "all_modalities"},  # teachers leave embeddings, too
        ),
        ({"teacher": {"encoder": {"width": 32}}}, {"lupi", "pricon", "all_modalities"}),
        (
            {"optimisation": {"probe": {"learning_rate": 0.1, "epochs": 9, "patience": 3}}},
            {"pricon"},
        ),
        ({"standardise": "session"}, {"e2e", "lupi", "pricon", "all_modalities"}),
        ({"label": {"margin": 0.1}}, {"majority", "e2e", "lupi", "pricon", "all_modalities"}),
    ],
)
def test_identity_follows_what_affects_a_result(change: dict[str, Any], changed: set[str]) -> None:
    before, after = plan_trials(job(), summary()), plan_trials(job(**change), summary())
    moved = {
        old.arm for old, new in zip(before.trials, after.trials, strict=True) if old.id != new.id
    }
    assert moved == changed
    assert before.run_id != after.run_id


def test_another_corpus_is_another_result() -> None:
    one = summary()
    other = type(one)(
        digest="e" * 64,
        generated=True,
        modalities=one.modalities,
        affects=one.affects,
        sessions=one.sessions,
    )
    ids = [{trial.id for trial in plan_trials(job(), corpus).trials} for corpus in (one, other)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("lanes", [1, 2, 3, 50])
def test_lanes_share_out_all_cells(lanes: int) -> None:
    plan = plan_trials(job(resources={"lanes": lanes}), summary())
    dealt = [cell for lane in plan.lanes for cell in lane.cells]
    assert sorted(dealt) == list(range(10))
    sizes = [len(lane.cells) for lane in plan.lanes]
    assert max(sizes) - min(sizes) <= 1
    for lane in plan.lanes:
        sources = {stage.source for stage in plan.stages_of(lane)} - {None}
        assert sources <= {stage.id for stage in plan.stages_of(lane)}


def placed(plan: Plan) -> list[tuple[Cell, str]]:
    """Ids of all trials and stages with their cells, each in the order of the plan."""
    trials = [(plan.cells[trial.cell], trial.id) for trial in plan.trials]
    return trials + [(plan.cells[stage.cell], stage.id) for stage in plan.stages]


@pytest.mark.parametrize("lanes", [1, 3, 10])
def test_plans_of_single_lanes_are_the_whole_plan_in_parts(lanes: int) -> None:
    plan = plan_trials(job(resources={"lanes": lanes}), summary())
    parts = [plan.only(lane) for lane in plan.lanes]
    for lane, part in zip(plan.lanes, parts, strict=True):
        assert [each.index for each in part.lanes] == [lane.index]
        assert part.lanes[0].cells == tuple(range(len(lane.cells)))
        assert part.cells == tuple(plan.cells[cell] for cell in lane.cells)
        assert placed(part) == [(cell, name) for cell, name in placed(plan) if cell in part.cells]
        same = {"run_id", "corpus_digest", "num_cells_of_job", "grid", "task", "generated"}
        assert all(getattr(part, name) == getattr(plan, name) for name in same)
        assert part.stage_by_id.keys() == {stage.id for stage in part.stages}
    assert {stage.id for part in parts for stage in part.stages} == {s.id for s in plan.stages}


def test_the_lane_of_a_cell() -> None:
    plan = plan_trials(job(resources={"lanes": 3}), summary())
    assert {cell: plan.lane_by_cell[cell] for cell in range(10)} == {
        cell: lane.index for lane in plan.lanes for cell in lane.cells
    }


def test_identities_stay_as_they_are() -> None:
    """Whoever makes planning faster keeps them: finished stages are found by nothing else."""
    plan = plan_trials(job(folds={"scheme": "leave_one_out"}), summary())
    assert plan.run_id == "9af2214523a252a4"


def test_one_model_a_stimulus_or_one_over_all() -> None:
    corpus = summary(stimuli=("fps", "solid"))
    each = plan_trials(job(), corpus)
    pooled = plan_trials(job(stimulus_models="pooled"), corpus)
    assert {cell.stimulus for cell in each.cells} == {"fps", "solid"}
    assert {cell.stimulus for cell in pooled.cells} == {"fps+solid"}
    assert each.cells[0].split == pooled.cells[0].split


def test_folds_are_dealt_among_those_who_saw_the_jobs_stimuli() -> None:
    corpus = summary(stimuli=("fps",))
    strangers = summary(participants=30, stimuli=("solid",)).sessions[12:]
    mixed = type(corpus)(
        digest=corpus.digest,
        generated=True,
        modalities=corpus.modalities,
        affects=corpus.affects,
        sessions=(*corpus.sessions, *strangers),
    )
    for cell in plan_trials(job(stimuli=["fps"]), mixed).cells:
        people = {*cell.split.train, *cell.split.validation, *cell.split.test}
        assert people == {*corpus.participants}


def test_only_some_folds() -> None:
    plan = plan_trials(job(), summary(), only_folds=(1, 3))
    assert {cell.fold for cell in plan.cells} == {1, 3}
    assert not plan.is_whole
    whole = {trial.id for trial in plan_trials(job(), summary()).trials}
    assert {trial.id for trial in plan.trials} < whole
    with pytest.raises(PlanError, match="there is no fold 9; the job has folds 0 to 4"):
        plan_trials(job(), summary(), only_folds=(9,))


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"modalities": {"available": ["frmes"], "privileged": ["telemetry"]}},
         "the corpus has no modality `frmes`", "did you mean `frames`?"),
        ({"stimuli": ["fsp"]}, "the corpus has no stimulus `fsp`", "did you mean `fps`?"),
        ({"affects": "valence"}, "the corpus has no affect `valence`", "mend `affects`"),
        ({"folds": {"count": 20}}, "20 folds asked for", "from 2 to 12"),
    ],
)  # fmt: skip
def test_what_the_corpus_cannot_give(change: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        plan_trials(job(**change), summary())
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_a_stimulus_that_a_fold_does_not_know() -> None:
    corpus = summary()
    rare = corpus.sessions[0]
    sessions = (
        *corpus.sessions,
        type(rare)(id="x", participant="P00", stimulus="rare", sha256="x"),
    )
    lacking = type(corpus)(
        digest=corpus.digest,
        generated=True,
        modalities=corpus.modalities,
        affects=corpus.affects,
        sessions=sessions,
    )
    with pytest.raises(PlanError, match="participant with a recording of `rare`"):
        plan_trials(job(), lacking)


def test_the_plan_is_data() -> None:
    plan = plan_trials(job(), summary())
    assert type(plan).from_json(plan.to_json()) == plan


def test_affects_are_cells_of_their_own_and_do_not_move_each_other() -> None:
    corpus = replace(summary(), affects=("arousal", "valence"))
    both = plan_trials(job(affects=["arousal", "valence"]), corpus)
    alone = plan_trials(job(affects="valence"), corpus)
    assert Counter(cell.affect for cell in both.cells) == {"arousal": 10, "valence": 10}
    valence = {trial.id for trial in both.trials if both.cells[trial.cell].affect == "valence"}
    assert valence == {trial.id for trial in alone.trials}
    split = {cell.affect: cell.split for cell in both.cells if (cell.fold, cell.seed) == (0, 0)}
    assert split["arousal"] == split["valence"]


def test_a_threshold_moves_its_own_affect() -> None:
    corpus = replace(summary(), affects=("arousal", "valence"))
    plans = [
        plan_trials(
            job(affects=["arousal", "valence"], label={"threshold": {"arousal": a, "valence": 0}}),
            corpus,
        )
        for a in (0.1, 0.2)
    ]
    ids = [{s.id: plan.cells[s.cell].affect for s in plan.stages} for plan in plans]
    assert {ids[0][i] for i in ids[0].keys() & ids[1].keys()} == {"valence"}
    assert {ids[0][i] for i in ids[0].keys() - ids[1].keys()} == {"arousal"}


def test_a_label_rule_that_nothing_looks_at_is_refused() -> None:
    uncontrastive = {"task": "regression", "arms": ["e2e", "lupi", "all_modalities"]}
    for label in ({"margin": 0.1}, {"threshold": 0.5}):
        with pytest.raises(PlanError, match="`label` would be ignored: under `task: regr") as info:
            plan_trials(job(**uncontrastive, label=label), summary())
        assert info.value.hint == "remove `label`, or add an arm such as `pricon` to `arms`"
    plan = plan_trials(job(**uncontrastive), summary())
    assert plan.task == "regression"
    assert Plan.from_json(plan.to_json()) == plan
    plan_trials(job(task="regression", label={"margin": 0.1}), summary())
