"""What of a cluster's objects nobody else should see."""

from typing import Any

import pytest

from pricon.launch.kubernetes.redaction import redacted
from tests.launch.kubernetes.operator import pod


def with_env(*env: dict[str, Any]) -> dict[str, Any]:
    body = pod("a-head", "head")
    body["spec"]["containers"][0]["env"] = [*env]
    return body


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "hf_token", "DB_PASSWD", "CREDENTIALS"],
)
def test_literal_credentials_are_removed(name: str) -> None:
    before = with_env({"name": name, "value": "abc"}, {"name": "HOME", "value": "/tmp"})
    after = redacted(before)
    assert after == with_env(
        {"name": name, "value": "(removed)"}, {"name": "HOME", "value": "/tmp"}
    )
    assert before["spec"]["containers"][0]["env"][0]["value"] == "abc", "a copy"


def test_references_to_secrets_stay_and_so_does_what_is_empty() -> None:
    reference = {"secretKeyRef": {"name": "pricon-storage", "key": "AWS_SECRET_ACCESS_KEY"}}
    body = with_env(
        {"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": reference},
        {"name": "REDIS_PASSWORD", "value": ""},
    )
    assert redacted(body) == body


def test_bookkeeping_is_left_out() -> None:
    body = pod("a-head", "head")
    noted = "kubectl.kubernetes.io/last-applied-configuration"
    body["metadata"] |= {"managedFields": [{}], "annotations": {noted: "{}", "other": "1"}}
    after = redacted(body)["metadata"]
    assert "managedFields" not in after
    assert after["annotations"] == {noted: "(removed)", "other": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uri: https://ada:pw@mlflow.example/x\n", "uri: https://(removed)@mlflow.example/x\n"),
        ("registry.example/pricon@sha256:0f", "registry.example/pricon@sha256:0f"),
        ("https://a.example/ada@x", "https://a.example/ada@x"),
    ],
)
def test_addresses_lose_their_users(text: str, expected: str) -> None:
    assert redacted({"data": {"job.yaml": text}}) == {"data": {"job.yaml": expected}}
