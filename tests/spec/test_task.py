"""What a task means for the fields that say nothing, and what it refuses."""

from typing import Any

import pytest

from pricon.errors import SpecError
from pricon.spec.job import JobSpec
from pricon.spec.load import parse_job
from tests.plan.problem import job
from tests.spec.test_load import JOB

REGRESSION = JOB + "task: regression\n"


def refused(text: str) -> SpecError:
    with pytest.raises(SpecError, match=r"job\.yaml") as caught:
        parse_job(text, "job.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("task", "imitate", "margin"),
    [("classification", "logits", 0.02), ("regression", "embedding", 0.04)],
)
def test_what_is_not_said_is_the_custom_of_the_task(task: str, imitate: str, margin: float) -> None:
    spec = job(task=task)
    assert spec.student.distillation.imitate == imitate
    assert spec.statistics.margin == spec.statistics.equivalence_margin == margin
    assert ("majority" in spec.arms) == (task == "classification")
    assert spec.arms[-4:] == ("e2e", "lupi", "pricon", "all_modalities")


def test_classification_is_the_default() -> None:
    assert parse_job(JOB, "job.yaml").task == "classification"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_said_stays(task: str) -> None:
    spec = job(
        task=task,
        arms=["e2e", "lupi"],
        statistics={"equivalence_margin": 0.1},
        student={"distillation": {"imitate": "embedding", "weight": 0.5}},
    )
    assert spec.arms == ("e2e", "lupi")
    assert spec.statistics.margin == 0.1
    assert spec.student.distillation.imitate == "embedding"
    assert spec.student.distillation.weight == 0.5


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_recorded_job_gives_the_same_job(task: str) -> None:
    """The record names every default; none of them may be taken for somebody's wish."""
    spec = job(task=task)
    assert JobSpec.model_validate_json(spec.model_dump_json(), strict=True) == spec


def test_majority_is_refused_under_regression() -> None:
    error = refused(REGRESSION + "arms: [majority, e2e]\n")
    assert "arm `majority` predicts a class, and `task: regression` has none" in error.message
    assert error.hint == (
        "remove `majority` from `arms`: a constant has a CCC of 0, so it would say nothing"
    )


@pytest.mark.parametrize(
    ("field", "message", "hint"),
    [
        ("imitate: logits", "`student.distillation.imitate: logits` needs classes", "embedding"),
        (
            "temperature: 2.0",
            "`student.distillation.temperature` belongs to logits",
            "remove `temperature`",
        ),
        (
            "scale_by_temperature_squared: true",
            "`student.distillation.scale_by_temperature_squared` belongs to logits",
            "remove `scale_by_temperature_squared`",
        ),
    ],
)
def test_what_belongs_to_logits_is_refused_under_regression(
    field: str, message: str, hint: str
) -> None:
    student = f"student: {{distillation: {{{field}}}}}\n"
    error = refused(REGRESSION + student)
    assert message in error.message
    assert "`task: regression` has none" in error.message
    assert hint in (error.hint or "")
    assert parse_job(JOB + student, "job.yaml").task == "classification"


def test_embeddings_of_two_widths_cannot_be_compared() -> None:
    error = refused(REGRESSION + "student: {encoder: {width: 12}}\n")
    assert "compares embeddings of one width" in error.message
    parse_job(JOB + "student: {encoder: {width: 12}}\n", "job.yaml")


def test_an_unloaded_margin_is_not_guessed() -> None:
    unloaded: Any = JobSpec.model_fields["statistics"].default
    with pytest.raises(ValueError, match="a job resolves its margin when it is loaded"):
        _ = unloaded.margin
