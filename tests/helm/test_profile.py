"""The cluster profile that the chart writes is one that pricon reads."""

from typing import Any

import pytest
import yaml

from pricon import __version__
from pricon.spec.profile import ClusterProfile, PlacementSpec
from tests.helm.binaries import Binary
from tests.helm.render import (
    FEATURES,
    KubernetesObject,
    ci_file,
    environment,
    pods,
    profile_of,
    render,
)


@pytest.mark.parametrize("feature", FEATURES)
def test_every_profile_is_read(charts: dict[str, list[KubernetesObject]], feature: str) -> None:
    profile = profile_of(charts[feature])
    assert profile.version == __version__
    accounts = [e["metadata"]["name"] for e in charts[feature] if e["kind"] == "ServiceAccount"]
    assert profile.service_account in accounts


def test_what_the_chart_knows_is_filled_in(charts: dict[str, list[KubernetesObject]]) -> None:
    profile = profile_of(charts["default"])
    assert profile.image == f"ghcr.io/pricon/pricon:{__version__}"
    assert profile.head == PlacementSpec(cpus=2, memory="8Gi")
    assert profile.head == ClusterProfile.model_fields["head"].default
    assert profile.ray_version == ClusterProfile.model_fields["ray_version"].default
    assert profile.tracking is not None
    assert profile.tracking.uri == "http://pricon-tracking.affect.svc:5000"
    assert profile.tracking.secret_name == "pricon-tracking-run"
    assert profile.tracking.public_url is None
    assert (profile.queue, profile.priority_class, profile.shared_pool) == (None, None, None)


def test_features_reach_the_profile(charts: dict[str, list[KubernetesObject]]) -> None:
    assert profile_of(charts["kueue"]).queue == "pricon"
    assert profile_of(charts["shared-cluster"]).shared_pool == "gpu"
    assert profile_of(charts["limits"]).priority_class == "pricon-run"
    assert profile_of(charts["nothing-tracked"]).tracking is None
    assert profile_of(charts["isolated-runs"]).isolate_runs
    ingress = profile_of(charts["tracking-ingress"]).tracking
    assert ingress is not None
    assert ingress.public_url == "https://mlflow.example.org"
    storage = profile_of(charts["object-store"]).storage
    assert storage.endpoint_url == "http://pricon-object-store.affect.svc:8333"
    assert storage.secret_name == "pricon-storage"
    pools = profile_of(charts["gpu-pools"]).pools
    assert sorted(pools) == ["gpu-a100", "gpu-l4-spot"], "`cpu: null` removes the chart's own"
    assert pools["gpu-l4-spot"].spot


def test_the_owner_has_the_last_word(helm: Binary) -> None:
    settings = (
        "profile.version=0.2.0",
        "profile.serviceAccount=theirs",
        "profile.tracking.secretName=theirs",
        "profileName=second",
    )
    profile = profile_of(render(helm, settings=settings), "second")
    assert profile.version == "0.2.0"
    assert profile.service_account == "theirs"
    assert profile.tracking is not None
    assert profile.tracking.secret_name == "theirs"
    assert profile.tracking.uri == "http://pricon-tracking.affect.svc:5000"


def test_long_release_names_leave_room_for_suffixes(helm: Binary) -> None:
    name = "a-team-that-gave-its-release-a-name-of-fifty-letters"
    text = helm.run("template", name, str(ci_file("default").parents[1])).stdout
    names = [e["metadata"]["name"] for e in yaml.load_all(text, Loader=yaml.CSafeLoader) if e]
    assert max(len(entry) for entry in names) <= 63
    assert f"{name[:40].rstrip('-')}-tracking" in names


def server(objects: list[KubernetesObject]) -> dict[str, Any]:
    """The container of the tracking server."""
    (pod,) = [pod for owner, pod in pods(objects) if owner == "Deployment/pricon-tracking"]
    container: dict[str, Any] = pod["spec"]["containers"][0]
    return container


def test_artifacts_lie_in_the_bucket_of_the_runs(
    charts: dict[str, list[KubernetesObject]],
) -> None:
    places = {
        feature: argument.partition("=")[2]
        for feature in ("default", "workload-identity", "storage-keys")
        for argument in server(charts[feature])["args"]
        if argument.startswith("--artifacts-destination=")
    }
    assert places == {
        "default": "s3://pricon/mlflow",
        "workload-identity": "s3://affect-runs/mlflow",
        "storage-keys": "s3://mlflow/artifacts",
    }


def test_keys_of_the_bucket(charts: dict[str, list[KubernetesObject]]) -> None:
    key = "AWS_SECRET_ACCESS_KEY"
    assert key not in environment(server(charts["workload-identity"]))
    assert environment(server(charts["storage-keys"]))[key] == f"secret:minio-tracking/{key}"
    tests = dict(pods(charts["storage-keys"]))["Pod/pricon-test-storage"]
    assert environment(tests["spec"]["containers"][0])[key] == f"secret:minio-runs/{key}"
