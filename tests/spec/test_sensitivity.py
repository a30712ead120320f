"""A grid says what it varies, and a grid that says nothing is refused."""

import pytest

from pricon.spec.job import PARENTS
from pricon.spec.load import parse_job
from pricon.spec.sensitivity import CONTRASTIVE, TAUGHT
from tests.spec.test_load import JOB, refused

ARMS = "arms: [e2e, lupi, pricon]\n"
WEIGHTS = "sensitivity:\n  distillation_weight: [0, 0.25, 1]\n"


def test_axes_that_are_not_given_are_not_in_the_grid() -> None:
    job = parse_job(JOB + ARMS + WEIGHTS, "job.yaml")
    assert job.sensitivity is not None
    assert job.sensitivity.axes == {"distillation_weight": (0.0, 0.25, 1.0)}
    assert parse_job(JOB, "job.yaml").sensitivity is None


def test_every_arm_with_a_teacher_may_be_asked() -> None:
    arms = f"arms: [e2e, {', '.join(TAUGHT)}]\n"
    assert parse_job(JOB + arms + WEIGHTS, "job.yaml").arms == ("e2e", *TAUGHT)
    assert {*CONTRASTIVE} < {*TAUGHT}


@pytest.mark.parametrize("arm", ["majority", "time_only", "scl", "all_modalities"])
def test_arms_without_a_teacher_have_no_settings(arm: str) -> None:
    error = refused(JOB + f"arms: [e2e, {arm}, lupi]\n" + WEIGHTS)
    assert f"no setting of `sensitivity` says anything about `{arm}`" in error.message
    assert "its `arms` are e2e and some of: lupi, lupi_privileged, pricon," in error.message


def test_the_default_arms_have_to_be_thought_about() -> None:
    assert "says anything about `majority`" in refused(JOB + WEIGHTS).message


@pytest.mark.parametrize("arms", ["[lupi, pricon]", "[e2e]"])
def test_a_reference_and_something_to_compare(arms: str) -> None:
    error = refused(JOB + f"arms: {arms}\n" + WEIGHTS)
    assert "`arms` needs e2e and some of: lupi" in error.message


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("{}", "`sensitivity` is a single point; give at least two values of one of: "
               "`distillation_weight`, `distillation_temperature`, `contrastive_temperature`"),
        ("{distillation_weight: [0.25]}", "`sensitivity` is a single point"),
        ("{distillation_weight: []}", "`sensitivity.distillation_weight` is []"),
        ("{distillation_weight: 0.5}",
         "`sensitivity.distillation_weight` is 0.5\n  expected a list"),
        ("{distillation_weight: [0.25, 1.5]}", "`sensitivity.distillation_weight[1]` is 1.5"),
        ("{distillation_temperature: [0, 0.5]}", "`sensitivity.distillation_temperature[0]` is 0"),
        ("{contrastive_temperature: [0.1, -1]}", "`sensitivity.contrastive_temperature[1]` is -1"),
        ("{distillation_weight: [0.25, 0.5, 0.5]}",
         "0.5 stands twice in `sensitivity.distillation_weight`"),
        ("{distillation_weight: [0.1, 0.5]}",
         "`sensitivity.distillation_weight` lacks 0.25, the job's own value"),
        ("{contrastive_temperature: [0.2, 0.5]}",
         "`sensitivity.contrastive_temperature` lacks 0.1, the job's own value"),
        ("{temperature: [1, 2]}", "unknown key `sensitivity.temperature`\n  expected one of: "
                                  "distillation_weight, distillation_temperature, contrastive_"),
    ],
)  # fmt: skip
def test_values_that_make_no_grid(grid: str, expected: str) -> None:
    error = refused(JOB + ARMS + f"sensitivity: {grid}\n")
    assert error.message.startswith("job.yaml:")
    assert expected in error.message


def test_an_embedding_has_no_temperature() -> None:
    imitate = "student: {distillation: {imitate: embedding}}\n"
    grid = "sensitivity: {distillation_temperature: [0.5, 1]}\n"
    assert (
        "`sensitivity.distillation_temperature` belongs to `imitate: logits`, not to an embedding"
        in refused(JOB + ARMS + imitate + grid).message
    )
    parse_job(JOB + ARMS + imitate + WEIGHTS, "job.yaml")


@pytest.mark.parametrize("arm", ["lupi", "lupi_privileged"])
def test_tau_needs_an_arm_that_is_pretrained_with_it(arm: str) -> None:
    grid = "sensitivity: {contrastive_temperature: [0.1, 0.2]}\n"
    error = refused(JOB + f"arms: [e2e, {arm}]\n" + grid)
    assert (
        "`sensitivity.contrastive_temperature` changes no arm of this job; add one of: pricon,"
        in error.message
    )
    for pretrained in CONTRASTIVE:
        arms = dict.fromkeys(["e2e", PARENTS.get(pretrained, pretrained), pretrained])
        parse_job(JOB + f"arms: [{', '.join(arms)}]\n" + grid, "job.yaml")
