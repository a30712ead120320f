"""What helm says after an installation: three commands, and what is missing."""

import re
from pathlib import Path

import pytest

from tests.helm.binaries import Binary
from tests.helm.notes import notes


def test_three_commands(each_helm: Binary, noted_chart: Path) -> None:
    text = notes(each_helm, noted_chart)
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]
    assert "kubectl --namespace affect create secret generic pricon-tracking" in text
    assert "helm test pricon --namespace affect --logs --timeout 30m" in text
    assert "pricon-submit jobs/again_cv.yaml --target kubernetes --namespace affect" in text
    assert "kubectl --namespace affect port-forward service/pricon-tracking 5000" in text


BUCKET = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
USER = "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD"
SERVER = {
    "pricon-tracking": "admin-password, flask-secret-key",
    "pricon-tracking-run": USER,
}


@pytest.mark.parametrize(
    ("feature", "secrets"),
    [
        ("default", SERVER),
        ("object-store", {"pricon-storage": BUCKET, **SERVER}),
        ("tracking-postgres", SERVER | {"pricon-tracking-database": "uri, auth-uri"}),
        ("storage-keys", {"minio-runs": BUCKET, "minio-tracking": BUCKET, **SERVER}),
        ("tracking-elsewhere", {"mlflow-user": USER}),
        ("tracking-open", {}),
    ],
)
def test_secrets_to_make(
    helm: Binary, noted_chart: Path, feature: str, secrets: dict[str, str]
) -> None:
    told = re.findall(
        r"create secret generic (\S+) --from-env-file=FILE   # (.+)$",
        notes(helm, noted_chart, feature),
        re.MULTILINE,
    )
    assert dict(told) == secrets


def test_without_secrets_one_waits_for_the_server(helm: Binary, noted_chart: Path) -> None:
    text = notes(helm, noted_chart, "nothing-tracked")
    assert "secrets" not in text
    assert "wait pods --for=condition=Ready" in text
    assert "Results:" not in text


def test_kuberay_is_missed(each_helm: Binary, noted_chart: Path) -> None:
    text = notes(each_helm, noted_chart)
    assert "WARNING: this cluster does not know RayJob (ray.io/v1): no run can start." in text
    assert "--version 1.7.0 --namespace kuberay-system --create-namespace" in text
    assert "RayJob" not in notes(each_helm, noted_chart, is_full=True)


def test_the_operator_is_let_in_from_one_namespace(helm: Binary, noted_chart: Path) -> None:
    warning = "Network policies let the KubeRay operator in from namespace kuberay-system only."
    text = notes(helm, noted_chart)
    assert warning in text
    assert "fails every run, after five minutes or 30 s after its end" in text
    assert warning not in notes(helm, noted_chart, "nothing-tracked"), "it has no policies"


def test_an_image_by_tag_is_pointed_at(helm: Binary, noted_chart: Path) -> None:
    asked = "set `image.digest`, `profile.image` by digest"
    assert f"{asked}." in notes(helm, noted_chart)
    assert "by its tag" not in notes(helm, noted_chart, "digest")
    store = ("objectStore.image.digest=",)
    told = notes(helm, noted_chart, "object-store", settings=store)
    assert f"{asked}, `objectStore.image.digest`." in told
    assert f"{asked}." in notes(helm, noted_chart, "object-store")
    assert "by its tag" not in notes(
        helm, noted_chart, settings=("image.digest=sha256:" + 64 * "1",)
    )


def test_the_address_for_people(helm: Binary, noted_chart: Path) -> None:
    assert "Results: https://mlflow.example.org" in notes(helm, noted_chart, "tracking-ingress")
