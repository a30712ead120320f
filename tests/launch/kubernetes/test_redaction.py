"""What of a cluster's objects nobody else should see; `test_credentials.py` has texts."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from pricon.launch.kubernetes.redaction import HARMLESS, redacted
from tests.launch.kubernetes.operator import config_map, pod, ray_job
from tests.safeguards.sources import ROOT

GONE = "(removed)"
GOLDEN = sorted((ROOT / "tests" / "golden" / "rayjob").glob("*.yaml"))


def rendered() -> list[dict[str, Any]]:
    """Every object that pricon is known to send."""
    return [body for file in GOLDEN for body in YAML(typ="safe", pure=True).load_all(file)]


def with_container(**parts: Any) -> dict[str, Any]:
    body = pod("a-head", "head")
    body["spec"]["containers"][0] |= parts
    return body


def test_what_pricon_sends_stays_as_it_is() -> None:
    bodies = rendered()
    assert len(bodies) == 2 * len(GOLDEN) > 0
    for body in bodies:
        assert redacted(body) == body


def test_variables_that_pricon_sets_are_shown() -> None:
    def names(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(names, part))
        if not isinstance(part, dict):
            return set()
        mine = {one["name"] for one in part.get("env") or [] if "value" in one}
        return mine | names([*part.values()])

    found = names(rendered())
    assert len(found) > 5
    assert found <= HARMLESS


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "hf_token", "DB_PASS", "HTTP_AUTHORIZATION", "SLACK_WEBHOOK", "DB"],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_of_other_variables_no_value_is_shown(kind: str, name: str) -> None:
    kept = [{"name": "HOME", "value": "/tmp"}, {"name": "EMPTY", "value": ""}]
    before = {"spec": {kind: [{"env": [{"name": name, "value": "abc"}, *kept]}]}}
    after = redacted(before)
    assert after == {"spec": {kind: [{"env": [{"name": name, "value": GONE}, *kept]}]}}
    assert before["spec"][kind][0]["env"][0]["value"] == "abc", "a copy"


def test_variables_that_are_shown_are_texts_too() -> None:
    start = {"name": "KUBERAY_GEN_RAY_START_CMD", "value": "ray start --redis-password=abc --head"}
    (after,) = redacted(with_container(env=[start]))["spec"]["containers"][0]["env"]
    assert after["value"] == f"ray start --redis-password={GONE} --head"


def test_a_run_that_was_changed_by_hand() -> None:
    body = ray_job()
    body["spec"] |= {
        "runtimeEnvYAML": "env_vars:\n  A: abc123",
        "entrypoint": "AWS_SECRET_ACCESS_KEY=abc123 python -m train --password=hunter2",
        "metadata": {"api-token": "abc123", "team": "lab"},
    }
    cluster = body["spec"]["rayClusterSpec"]
    cluster["headGroupSpec"]["rayStartParams"] = {"redis-password": "abc123", "num-cpus": "0"}
    cluster["gcsFaultToleranceOptions"] = {"redisPassword": {"value": "abc123"}}
    after = redacted(body)["spec"]
    assert after["runtimeEnvYAML"] == GONE
    assert after["entrypoint"] == f"AWS_SECRET_ACCESS_KEY={GONE} python -m train --password={GONE}"
    assert after["metadata"] == {"api-token": GONE, "team": "lab"}
    cluster = after["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"redis-password": GONE, "num-cpus": "0"}
    assert cluster["gcsFaultToleranceOptions"] == {"redisPassword": {"value": GONE}}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--token", "abc123", "--lanes", "2"], ["--token", GONE, "--lanes", "2"]),
        (["--token", "--lanes", "2"], ["--token", "--lanes", "2"]),
        (["--token", "--password"], ["--token", "--password"]),
        (["-H", "Authorization: Bearer abc"], ["-H", f"Authorization: {GONE}"]),
        (["sh", "-c", "TOKEN=abc train"], ["sh", "-c", f"TOKEN={GONE} train"]),
        (["--runtime-env-json", '{"env_vars":{"A":"b"}}'], ["--runtime-env-json", GONE]),
    ],
)
def test_arguments(arguments: list[str], expected: list[str]) -> None:
    after = redacted(with_container(args=arguments, command=arguments))["spec"]["containers"][0]
    assert after["args"] == after["command"] == expected


def test_headers_of_probes() -> None:
    headers = [{"name": "Authorization", "value": "abc"}, {"name": "X-Any", "value": "abc"}]
    probe = {"httpGet": {"path": "/", "port": 80, "httpHeaders": headers}}
    after = redacted(with_container(livenessProbe=probe))["spec"]["containers"][0]
    found = after["livenessProbe"]["httpGet"]["httpHeaders"]
    assert found == [{"name": "Authorization", "value": GONE}, {"name": "X-Any", "value": GONE}]


def test_keys_that_people_have_invented() -> None:
    body = config_map()
    body["data"] = {"PASSWORD": "a", "key": "a", "token-file": "a", "value": "a", "lanes": "2"}
    body["metadata"]["annotations"] = {"api-token": "abc", "lab.example/note": "mine"}
    after = redacted(body)
    assert after["data"] == {
        "PASSWORD": GONE, "key": GONE, "token-file": GONE, "value": "a", "lanes": "2",
    }  # fmt: skip
    assert after["metadata"]["annotations"] == {"api-token": GONE, "lab.example/note": "mine"}


@pytest.mark.parametrize(
    "part",
    [
        {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes"}]},
        {"imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": False},
        {"authOptions": {"mode": "token", "secretName": "pricon-token"}},
        {"volumes": [{"secret": {"secretName": "a", "items": [{"key": "b", "path": "c"}]}}]},
        {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]},
        {"labels": {"lab.example/auth": "yes"}, "nodeSelector": {"lab.example/key": "yes"}},
        {"topologySpreadConstraints": [{"topologyKey": "zone", "matchLabelKeys": ["a-key"]}]},
        {"dnsConfig": {"options": [{"name": "ndots", "value": "5"}]}},
        {"env": [{"name": "A_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]},
        {"message": 'secret "pricon-storage" not found', "reason": "FailedMount"},
    ],
)
def test_names_of_credentials_stay(part: dict[str, Any]) -> None:
    assert redacted(part) == part


def test_bookkeeping_is_left_out() -> None:
    body = pod("a-head", "head")
    noted = "kubectl.kubernetes.io/last-applied-configuration"
    body["metadata"] |= {"managedFields": [{}], "annotations": {noted: "{}", "other": "1"}}
    after = redacted(body)["metadata"]
    assert "managedFields" not in after
    assert after["annotations"] == {noted: GONE, "other": "1"}


def test_addresses_lose_their_users() -> None:
    text = "uri: https://ada:pw@mlflow.example/x\n"
    assert redacted({"data": {"job.yaml": text}}) == {
        "data": {"job.yaml": f"uri: https://{GONE}@mlflow.example/x\n"}
    }
