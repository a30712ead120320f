"""Who teaches whom, arm by arm."""

from collections import Counter
from typing import Any, get_args

import pytest

from pricon.plan.plan import POSITION
from pricon.plan.stages import Link, chain, deployed_modalities
from pricon.plan.trials import plan_trials
from pricon.spec.job import Arm
from tests.plan.problem import job, summary

M = ("a", "b", "c")


def words(link: Link | None) -> str:
    """A chain from its first stage to its last."""
    if link is None:
        return ""
    seen = "+".join(link.modalities)
    own = f"{link.objective} {link.role}({seen})" + (" shuffled" * (link.labels == "shuffled"))
    return f"{words(link.source)} > {own}" if link.source else own


CHAINS: dict[Arm, str] = {
    "majority": "majority majority()",
    "time_only": "distillation student(position)",
    "e2e": "distillation student(a)",
    "scl": "contrastive teacher(a) > cross_entropy probe(a)",
    "lupi": "cross_entropy teacher(a+b+c) > distillation student(a)",
    "lupi_privileged": "cross_entropy teacher(b+c) > distillation student(a)",
    "pricon": "contrastive teacher(a+b+c) > cross_entropy probe(a+b+c) > distillation student(a)",
    "pricon_privileged": "contrastive teacher(b+c) > cross_entropy probe(b+c)"
    " > distillation student(a)",
    "pricon_shuffled": "contrastive teacher(a+b+c) shuffled > cross_entropy probe(a+b+c) shuffled"
    " > distillation student(a)",
    "pricon_random": "random teacher(a+b+c) > cross_entropy probe(a+b+c) > distillation student(a)",
    "all_modalities": "cross_entropy teacher(a+b+c)",
    "scl_all_modalities": "contrastive teacher(a+b+c) > cross_entropy probe(a+b+c)",
}


@pytest.mark.parametrize("arm", get_args(Arm))
def test_chain(arm: Arm) -> None:
    assert words(chain(arm, ("a",), M)) == CHAINS[arm]


@pytest.mark.parametrize("arm", get_args(Arm))
def test_a_trial_says_what_its_last_stage_sees(arm: Arm) -> None:
    for available in deployed_modalities(arm, (("a",), ("a", "b")), M):
        assert chain(arm, available, M).modalities == available


def test_a_set_of_available_modalities_leaves_the_rest_to_privileged_teachers() -> None:
    link = chain("pricon_privileged", ("a", "b"), M)
    assert words(link).startswith("contrastive teacher(c) >")


def test_arms_share_teachers_and_whole_chains() -> None:
    """Twelve arms in ten cells."""
    plan = plan_trials(job(arms=[*CHAINS]), summary())
    stages = Counter((s.role, s.objective, s.modalities, s.labels) for s in plan.stages)
    both, frames, telemetry = ("frames", "telemetry"), ("frames",), ("telemetry",)
    assert stages == {
        ("majority", "majority", (), "true"): 10,
        ("teacher", "cross_entropy", both, "true"): 10,
        ("teacher", "cross_entropy", telemetry, "true"): 10,
        ("teacher", "contrastive", both, "true"): 10,
        ("teacher", "contrastive", both, "shuffled"): 10,
        ("teacher", "contrastive", frames, "true"): 10,
        ("teacher", "contrastive", telemetry, "true"): 10,
        ("teacher", "random", both, "true"): 10,
        ("probe", "cross_entropy", both, "true"): 20,  # on the trained and on the random encoder
        ("probe", "cross_entropy", both, "shuffled"): 10,
        ("probe", "cross_entropy", frames, "true"): 10,
        ("probe", "cross_entropy", telemetry, "true"): 10,
        ("student", "distillation", frames, "true"): 70,
        ("student", "distillation", (POSITION,), "true"): 10,
    }


def test_the_control_without_training_depends_on_no_schedule() -> None:
    """A random encoder is the same whatever its trained sister would have gone through."""
    arms = ["pricon", "pricon_random"]
    schedule = {"contrastive": {"learning_rate": 0.1, "epochs": 2, "patience": 1}}
    one = plan_trials(job(arms=arms), summary())
    other = plan_trials(job(arms=arms, optimisation=schedule), summary())
    same = {s.id for s in one.stages} & {s.id for s in other.stages}
    assert {s.objective for s in one.stages if s.id in same and s.role == "teacher"} == {"random"}


@pytest.mark.parametrize("arm", [arm for arm in get_args(Arm) if arm != "majority"])
def test_chain_of_a_regression_arm(arm: Arm) -> None:
    """The same chain; teachers and probes minimise squared errors."""
    expected = CHAINS[arm].replace("cross_entropy", "squared_error")
    assert words(chain(arm, ("a",), M, "regression")) == expected


def test_what_was_streamed_in_another_order_is_another_stage() -> None:
    """So no record and no checkpoint of it is ever gone on from."""
    streaming = {"streaming": {"buffer_mb": 64}}
    asked = job(arms=["e2e"], seeds=[0], optimisation=streaming)
    ids = {stage.id for stage in plan_trials(asked, summary()).stages}
    assert "e0069e72fe24a0e1" not in ids, "the first of them when one order was everybody's"


EVERY_ARM = [arm for arm in get_args(Arm) if arm != "majority"]


def ids_by_objective(**changes: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stage in plan_trials(job(arms=EVERY_ARM, **changes), summary()).stages:
        found.setdefault(stage.objective, set()).add(stage.id)
    return found


def test_both_tasks_share_contrastive_encoders_and_nothing_else() -> None:
    classes, values = ids_by_objective(), ids_by_objective(task="regression")
    assert classes["contrastive"] == values["contrastive"]
    assert classes["random"] == values["random"]
    assert not classes["distillation"] & values["distillation"]
    assert not classes["cross_entropy"] & values["squared_error"]


def test_a_label_rule_changes_what_sees_classes_and_what_builds_on_it() -> None:
    one, other = (
        plan_trials(job(arms=EVERY_ARM, task="regression", label={"margin": m}), summary())
        for m in (0.05, 0.1)
    )
    same = {t.arm for t in one.trials} & {
        t.arm for t, u in zip(one.trials, other.trials, strict=True) if t.id == u.id
    }
    assert same == {"time_only", "e2e", "lupi", "lupi_privileged", "all_modalities"}
