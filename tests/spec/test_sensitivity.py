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
    assert error.hint == f"leave `{arm}` out, for example `arms: [e2e, lupi, pricon]`"
    parse_job(JOB + ARMS + WEIGHTS, "job.yaml")


def test_the_default_arms_have_to_be_thought_about() -> None:
    assert "says anything about `majority`" in refused(JOB + WEIGHTS).message


@pytest.mark.parametrize(("arms", "lacking"), [("[lupi, pricon]", "e2e"), ("[e2e]", "lupi")])
def test_a_reference_and_something_to_compare(arms: str, lacking: str) -> None:
    error = refused(JOB + f"arms: {arms}\n" + WEIGHTS)
    assert "`arms` needs e2e and some of: lupi" in error.message
    assert error.hint == f"add `{lacking}` to `arms`"


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("{}", "`sensitivity` is a single point; it needs at least two values of one of: "
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


@pytest.mark.parametrize(
    ("grid", "hint"),
    [
        ("{distillation_weight: [0.25]}",
         "add a value, such as `distillation_weight: [0.25, 0.5]`, or remove `sensitivity`"),
        ("{distillation_weight: [0.25, 0.5, 0.5]}",
         "name each value once: one setting is trained once"),
        ("{distillation_weight: [0.5, 0.1]}", "write `distillation_weight: [0.1, 0.25, 0.5]`, or "
         "set `student.distillation.weight` to one of its values"),
        ("{distillation_temperature: [4, 8]}", "write `distillation_temperature: [0.5, 4, 8]`, or "
         "set `student.distillation.temperature` to one of its values"),
        ("{contrastive_temperature: [0.2, 0.5]}", "write `contrastive_temperature: [0.1, 0.2, "
         "0.5]`, or set `teacher.contrastive.temperature` to one of its values"),
    ],
)  # fmt: skip
def test_every_contradiction_has_a_way_out(grid: str, hint: str) -> None:
    assert refused(JOB + ARMS + f"sensitivity: {grid}\n").hint == hint


def test_an_embedding_has_no_temperature() -> None:
    imitate = "student: {distillation: {imitate: embedding}}\n"
    grid = "sensitivity: {distillation_temperature: [0.5, 1]}\n"
    error = refused(JOB + ARMS + imitate + grid)
    assert (
        "`sensitivity.distillation_temperature` belongs to `imitate: logits`, not to an embedding"
        in error.message
    )
    assert error.hint == (
        "remove `distillation_temperature` from `sensitivity`: the cosine between embeddings has "
        "no temperature"
    )
    parse_job(JOB + ARMS + imitate + WEIGHTS, "job.yaml")


@pytest.mark.parametrize("arm", ["lupi", "lupi_privileged"])
def test_tau_needs_an_arm_that_is_pretrained_with_it(arm: str) -> None:
    grid = "sensitivity: {contrastive_temperature: [0.1, 0.2]}\n"
    error = refused(JOB + f"arms: [e2e, {arm}]\n" + grid)
    assert (
        "`sensitivity.contrastive_temperature` changes no arm of this job; it belongs to: pricon,"
        in error.message
    )
    assert error.hint == (
        "add `pricon` to `arms`, or remove `contrastive_temperature` from `sensitivity`"
    )
    for pretrained in CONTRASTIVE:
        arms = dict.fromkeys(["e2e", PARENTS.get(pretrained, pretrained), pretrained])
        parse_job(JOB + f"arms: [{', '.join(arms)}]\n" + grid, "job.yaml")
