"""The job's schema says what every field is and where its default comes from."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from pricon.spec.job import JobSpec
from tests.spec.test_load import JOB


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in {"JobSpec": schema, **schema["$defs"]}.items():
        for key, value in definition.get("properties", {}).items():
            yield f"{name}.{key}", value


def test_every_field_is_documented() -> None:
    # A field with the very words of its type leaves them to the type.
    silent = [
        name
        for name, value in properties(JobSpec.model_json_schema())
        if not {"description", "$ref"} & {*value} and not name.endswith(".adapter")
    ]
    assert silent == []


def test_every_assumption_of_the_protocol_names_its_origin() -> None:
    described = dict(properties(JobSpec.model_json_schema()))
    for field in (
        "EncoderSpec.width", "ContrastiveSpec.temperature", "DistillationSpec.weight",
        "DistillationSpec.temperature", "OptimisationSpec.batch_size", "OptimisationSpec.probe",
        "OptimisationSpec.contrastive", "OptimisationSpec.supervised", "FoldSpec.count",
        "FoldSpec.validation_share", "FoldSpec.validation_minimum", "LabelSpec.threshold",
        "LabelSpec.margin", "JobSpec.seeds", "ContrastiveSpec.contrast",
        "ContrastiveSpec.change_threshold", "DistillationSpec.imitate", "WindowSpec.pooling",
        "EncoderSpec.kind", "OptimisationSpec.optimiser", "OptimisationSpec.weight_decay",
    ):  # fmt: skip
        assert "[A]" in described[field]["description"], field


def test_the_schema_accepts_what_the_loader_accepts_and_refuses_unknown_keys() -> None:
    schema = JobSpec.model_json_schema()
    job = YAML(typ="safe", pure=True).load(JOB)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(job, schema)
    wrong = {**job, "studnet": {}}
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(wrong))
    assert "studnet" in errors[0].message


def test_no_field_takes_a_secret() -> None:
    names = {name.rsplit(".", 1)[1] for name, _ in properties(JobSpec.model_json_schema())}
    assert not names & {"password", "secret", "token", "access_key", "secret_key"}


@pytest.mark.parametrize(
    ("adapter", "affect", "threshold"),
    [
        ("recola", "arousal", {"arousal": 0.0017, "valence": 0.0013}),
        ("again", "arousal", "training_median"),
    ],
)
def test_what_counts_as_much_change_is_the_custom_of_the_corpus(
    adapter: str, affect: str, threshold: dict[str, float] | str
) -> None:
    document = YAML(typ="safe", pure=True).load(JOB)
    document |= {"corpus": {"adapter": adapter, "uri": "x"}, "affects": affect}
    assert JobSpec.model_validate(document).teacher.contrastive.change_threshold is None
    document["teacher"] = {"contrastive": {"contrast": "change"}}
    assert JobSpec.model_validate(document).teacher.contrastive.change_threshold == threshold
    document["teacher"]["contrastive"]["change_threshold"] = 0.25
    assert JobSpec.model_validate(document).teacher.contrastive.change_threshold == 0.25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"teacher": {"contrastive": {"change_threshold": 0.5}}},
            "`change_threshold` belongs to `contrast: change`, `contrast` is level",
        ),
        (
            {"student": {"distillation": {"imitate": "embedding", "temperature": 2}}},
            "a temperature belongs to `imitate: logits`",
        ),
        (
            {"student": {"encoder": {"kind": "gru", "heads": 2}}},
            "`heads` belongs to `kind: transformer`, `kind` is gru",
        ),
        (
            {"student": {"encoder": {"expansion": 3}}},
            "`expansion` belongs to `kind: transformer`, `kind` is mean",
        ),
        (
            {"optimisation": {"optimiser": "adamw"}},
            "`optimiser: adamw` without `weight_decay` is adam",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(change: dict[str, Any], message: str) -> None:
    document = YAML(typ="safe", pure=True).load(JOB)
    with pytest.raises(ValidationError, match=message):
        JobSpec.model_validate(document | change)


def test_an_embedding_can_only_be_imitated_at_one_width() -> None:
    document = YAML(typ="safe", pure=True).load(JOB)
    document["student"] = {"encoder": {"width": 8}, "distillation": {"imitate": "embedding"}}
    with pytest.raises(ValidationError, match=r"`teacher.encoder.width` is 96 and `student"):
        JobSpec.model_validate(document)


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_an_encoder_over_time_needs_frames(who: str) -> None:
    document = YAML(typ="safe", pure=True).load(JOB)
    document[who] = {"encoder": {"kind": "gru"}}
    with pytest.raises(ValidationError, match=f"`{who}.encoder.kind: gru` reads the frames of a"):
        JobSpec.model_validate(document)
    document["corpus"]["windows"] = {"window_s": 3, "hop_s": 3, "frames": 12}
    assert JobSpec.model_validate(document).corpus.windows.frame_s == 0.25


def test_attention_heads_share_the_width() -> None:
    document = YAML(typ="safe", pure=True).load(JOB)
    document["student"] = {"encoder": {"kind": "transformer", "width": 10}}
    with pytest.raises(ValidationError, match="`heads` share the width: 10 is not divisible by 4"):
        JobSpec.model_validate(document)
