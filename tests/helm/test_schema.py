"""values.schema.json: in step with the profile, closed, and clear about what it refuses."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.helm.binaries import Binary
from tests.helm.render import CHART, FOREIGN_APIS, arguments, ci_file, named, render
from tests.helm.schema import SCHEMA, read_schema, updated


def test_the_profile_is_that_of_the_code() -> None:
    schema = read_schema()
    if os.environ.get("PRICON_GOLDEN") == "update":
        SCHEMA.write_text(json.dumps(updated(schema), indent=2) + "\n", encoding="utf-8")
    assert read_schema() == updated(schema), "PRICON_GOLDEN=update rewrites it"


def closed_objects(part: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Every object of the schema that lists its keys, and whether it refuses others."""
    if isinstance(part, dict):
        if "properties" in part:
            yield path, part.get("additionalProperties") is False
        for key, value in part.items():
            if key not in ("if", "then", "else"):  # these only refuse more
                yield from closed_objects(value, f"{path}/{key}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from closed_objects(value, f"{path}/{number}")


def test_unknown_keys_are_refused_everywhere() -> None:
    found = dict(closed_objects(read_schema()))
    assert len(found) > 40
    assert [path for path, closed in found.items() if not closed] == []


def keys(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items() if isinstance(values, dict) else ():
        yield (*path, key)
        yield from keys(value, (*path, key))


def sections(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Objects of the schema whose keys are the chart's own."""
    for key, value in schema.get("properties", {}).items():
        if "properties" in value and key != "global":
            yield (*path, key)
            yield from sections(value, (*path, key))


def test_an_empty_section_is_told(helm: Binary) -> None:
    """In YAML a section of comments alone is null, which takes its defaults away."""
    found = [*sections(read_schema()), ("profile",)]
    assert len(found) > 25
    for depth in range(1, 1 + max(map(len, found))):
        paths = [path for path in found if len(path) == depth]
        settings = tuple(f"{'.'.join(path)}=null" for path in paths)
        said = helm.run(*arguments(settings=settings), check=False).stderr
        missing = re.findall(r"at '([^']*)': missing propert(?:y|ies) (.*)", said)
        told = {(*where.split("/")[1:], key) for where, keys in missing for key in names_in(keys)}
        assert told == {*paths}


def names_in(text: str) -> list[str]:
    """What stands between quotes."""
    return re.findall("'([^']+)'", text)


FREE = {("tracking", "resources"), ("objectStore", "resources"), ("kueue", "quota")}
"""Maps whose keys are Kubernetes' own."""


def test_values_and_schema_have_the_same_keys() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def described(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for key, value in schema.get("properties", {}).items():
            yield (*path, key)
            yield from described(value, (*path, key))

    written = {path for path in keys(values) if path[0] != "profile"}
    written = {p for p in written if not any(p[: len(f)] == f and len(p) > len(f) for f in FREE)}
    schema = {path for path in described(read_schema()) if path[0] not in ("profile", "global")}
    schema = {p for p in schema if not any(p[: len(f)] == f and len(p) > len(f) for f in FREE)}
    free_labels = {("monitoring", "dashboard", "labels", "grafana_dashboard")}
    assert written - free_labels == schema


def test_every_key_of_the_values_is_documented() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    bare = []
    for number, line in enumerate(lines):
        if re.match(r" *[A-Za-z]+:", line):
            above = number - 1
            while lines[above].strip().startswith("# ") and not lines[above].strip().startswith(
                "# --"
            ):
                above -= 1
            if not lines[above].strip().startswith("# -- "):
                bare.append(f"values.yaml:{number + 1}: {line.strip()}")
    assert bare == []


UNKNOWN = {
    "helm3": "{where}: Additional property {key} is not allowed",
    "helm4": "at '{pointer}': additional properties '{key}' not allowed",
}
PATTERN = {
    "helm3": "{where}.{key}: Does not match pattern",
    "helm4": "at '{pointer}/{key}': '{value}' does not match pattern",
}
CHOICE = {
    "helm3": "{where}.{key}: {where}.{key} must be one of the following",
    "helm4": "at '{pointer}/{key}': value must be one of",
}
TOO_LITTLE = {
    "helm3": "{where}.{key}: Must be greater than or equal to 0",
    "helm4": "at '{pointer}/{key}': minimum: got -1, want 0",
}
MISSING = {
    "helm3": "{where}: {key} is required",
    "helm4": "at '{pointer}': missing property '{key}'",
}


@pytest.mark.parametrize("major", ["helm3", "helm4"])
@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("trackign=false", UNKNOWN),
        ("tracking.auth.adminPassword=hunter2", UNKNOWN),
        ("tracking.database.uri=postgresql://a:b@c/d", UNKNOWN),
        ("profile.storage.secretKey=abc", UNKNOWN),
        ("objectStore.accessKey=abc", UNKNOWN),
        ("profile.pools.cpu.maxWorker=3", UNKNOWN),
        ("profile.storage.secretName=wJalrXUtnFEMI/K7MDENG", PATTERN),
        ("tracking.auth.existingSecret=Pa55word", PATTERN),
        ("profile.pools.cpu.memory=lots", PATTERN),
        ("profile.storage.output=/data", PATTERN),
        ("image.digest=sha256:abc", PATTERN),
        ("networkPolicy.apiServer.cidrs[0]=everywhere", PATTERN),
        ("profile.pools.cpu.gpus=-1", TOO_LITTLE),
        ("profile.pools.cpu.cpus=null", MISSING),
        ("profile.storage.output=null", MISSING),
        ("image.pullPolicy=Sometimes", CHOICE),
        ("submitters[0].kind=Robot", CHOICE),
    ],
)
def test_what_is_refused(
    helms: dict[str, Binary], major: str, setting: str, complaint: dict[str, str]
) -> None:
    done = helms[major].run(*arguments(settings=(setting,)), check=False)
    assert done.returncode != 0
    path, _, value = setting.replace("[0]", ".0").partition("=")
    where, _, key = path.rpartition(".")
    pointer = "".join(f"/{part}" for part in where.split(".") if part)
    expected = complaint[major].format(
        where=where or "(root)", pointer=pointer, key=key, value=value
    )
    assert expected in done.stderr


@pytest.mark.parametrize("major", ["helm3", "helm4"])
def test_a_value_that_its_operator_does_not_take(helms: dict[str, Binary], major: str) -> None:
    toleration = "profile.head.tolerations[0]"
    settings = (f"{toleration}.key=gpu", f"{toleration}.value=a100")
    done = helms[major].run(*arguments(settings=settings), check=False)
    assert done.returncode != 0
    assert re.search(
        r"tolerations[./]0[./]value'?: .*(less than or equal to 0|want 0)", done.stderr
    )
    helms[major].run(*arguments(settings=(*settings, f"{toleration}.operator=Equal")))


QUEUE = ("kueue.enabled=true", "kueue.createClusterQueue=true")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("profile.defaultPool=gpu",), "`profile.defaultPool` is `gpu`, `profile.pools` has `cpu`"),
        (
            ("profile.pools.cpu.minWorkers=9",),
            "`profile.pools.cpu.minWorkers` is 9, above `maxWorkers`, 4",
        ),
        (
            ("profile.storage.endpointUrl=http://key:secret@minio:9000",),
            "an address holds a user, a password, a query or a fragment",
        ),
        (
            ("tracking.ingress.enabled=true",),
            "`tracking.ingress.enabled` needs `tracking.ingress.host`",
        ),
        (
            ("tracking.ingress.enabled=true", "tracking.ingress.host=mlflow.example.org"),
            "passwords would travel in the clear",
        ),
        (
            (
                "tracking.ingress.enabled=true",
                "tracking.ingress.host=mlflow.example.org",
                "tracking.auth.enabled=false",
            ),
            "anyone who reaches the ingress could read and delete results",
        ),
        (
            ("tracking.enabled=false", "profile.tracking.uri=https://mlflow.example.org"),
            "runs may not reach the tracking server of `profile.tracking`",
        ),
        (
            ("tracking.enabled=false", "profile.tracking.secretName=mlflow-user"),
            "`profile.tracking` has no `uri`",
        ),
        (
            ("tracking.database.existingSecret=database",),
            "the tracking server may not reach PostgreSQL",
        ),
        (
            ("tests.pools={cpu,gpu}",),
            "`tests.pools` names `gpu`, `profile.pools` has `cpu`",
        ),
        (
            ("sharedCluster.enabled=true", "sharedCluster.pool=gpu"),
            "`sharedCluster.pool` is `gpu`, `profile.pools` has `cpu`",
        ),
        (
            ("objectStore.enabled=true", "profile.storage.endpointUrl=https://s3.example.org"),
            "`objectStore.enabled` is true, and `profile.storage.endpointUrl` is another store",
        ),
        (
            ("objectStore.enabled=true", "profile.storage.secretName=null"),
            "`profile.storage.secretName` is null: the store would be open to every pod",
        ),
        (("quota.enabled=true",), "`quota.enabled` is true, and `quota.hard` limits nothing"),
        (
            ("profile.isolateRuns=true", "networkPolicy.enabled=false"),
            "`networkPolicy.enabled` is false: KubeRay would close runs to its own operator",
        ),
        *(
            (
                (*QUEUE, f"kueue.quota.{resource}=null"),
                f"`kueue.quota` has no `{resource}`, which all pods request: Kueue would admit",
            )
            for resource in ("cpu", "memory", "ephemeral-storage")
        ),
        (
            (*QUEUE, r"kueue.quota.nvidia\.com/gpu=null", "profile.pools.cpu.gpus=1"),
            "`kueue.quota` has no `nvidia.com/gpu`, which workers of pool `cpu` request",
        ),
        (
            (*QUEUE, "profile.pools.cpu.gpus=1", "profile.pools.cpu.gpuResource=amd.com/gpu"),
            "`kueue.quota` has no `amd.com/gpu`, which workers of pool `cpu` request",
        ),
    ],
)
def test_contradictions(each_helm: Binary, settings: tuple[str, ...], expected: str) -> None:
    done = each_helm.run(*arguments(settings=settings), check=False)
    assert done.returncode != 0
    assert expected in done.stderr
    assert "\n\nhint: " in done.stderr


@pytest.mark.parametrize(
    "setting",
    [
        "profile.tracking.uri=https://h/?token=hunter2",
        "profile.tracking.publicUrl=https://h/#hunter2",
        "profile.storage.endpointUrl=https://s3.example.org?X-Amz-Credential=hunter2",
        "profile.storage.corpora=s3://affect/corpora?token=hunter2",
        "profile.storage.output=s3://affect/runs#hunter2",
        "tracking.artifacts=s3://affect/mlflow?token=hunter2",
        "tracking.artifacts=s3://key:hunter2@affect/mlflow",
    ],
)
def test_no_address_holds_a_secret(each_helm: Binary, setting: str) -> None:
    done = each_helm.run(*arguments(settings=(setting,)), check=False)
    assert done.returncode != 0
    assert "an address holds a user, a password, a query or a fragment" in done.stderr
    assert "\n\nhint: leave that out; keys and passwords go into a secret" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_annotations_may_hold_addresses_with_a_query(helm: Binary) -> None:
    """An ingress controller's own, such as where to log in."""
    address = "https://login.example.org/start?rd=$escaped_request_uri"
    objects = render(
        helm,
        ci_file("tracking-ingress"),
        settings=(f"tracking.ingress.annotations.login={address}",),
    )
    assert (
        named(objects, "Ingress", "pricon-tracking")["metadata"]["annotations"]["login"] == address
    )


@pytest.mark.parametrize("name", ["my.release", "2pricon"])
def test_a_release_that_cannot_name_services(helm: Binary, name: str) -> None:
    done = helm.run("template", name, str(CHART), check=False)
    assert done.returncode != 0
    assert f"release `{name}` names no service: expected lower-case letters" in done.stderr
    assert "hint: `helm install pricon helm/pricon" in done.stderr


def test_a_pool_that_no_job_can_name(each_helm: Binary) -> None:
    """Its keys would pass unread, and every submitter would be refused."""
    done = each_helm.run(*arguments(settings=("profile.pools.GPU.cpus=1",)), check=False)
    assert done.returncode != 0
    said = done.stderr.replace("'", "").replace("/", ".").lower()
    assert re.search(r"profile\.pools: additional propert(y|ies) gpu", said), done.stderr


@pytest.mark.parametrize(
    ("feature", "api"),
    [
        ("shared-cluster", "ray.io/v1/RayCluster"),
        ("kueue", "kueue.x-k8s.io/v1beta2/LocalQueue"),
        ("monitoring", "monitoring.coreos.com/v1/PodMonitor"),
        ("external-secrets", "external-secrets.io/v1/ExternalSecret"),
    ],
)
def test_a_missing_operator_is_explained(each_helm: Binary, feature: str, api: str) -> None:
    given = arguments(ci_file(feature), apis=tuple(known for known in FOREIGN_APIS if known != api))
    done = each_helm.run(*given, check=False)
    assert done.returncode != 0
    assert f"needs {api}, which this cluster does not know" in done.stderr
    assert f"helm template --api-versions {api}" in done.stderr
