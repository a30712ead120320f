"""What a cluster's owner may say, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from pricon.spec.profile import ClusterProfile, PlacementSpec

IMAGE = "registry.example.org/pricon@sha256:" + "0" * 64


def profile(**changes: Any) -> dict[str, Any]:
    """A small profile as YAML would read; `changes` replace whole keys."""
    return {
        "version": "0.1.0",
        "image": IMAGE,
        "serviceAccount": "pricon-run",
        "pools": {"gpu-a100": {"cpus": 8, "memory": "32Gi", "gpus": 1, "maxWorkers": 4}},
        "defaultPool": "gpu-a100",
        "storage": {"corpora": "s3://bucket/corpora", "output": "s3://bucket/runs"},
        **changes,
    }


def test_keys_are_written_as_kubernetes_writes_them() -> None:
    read = ClusterProfile.model_validate(profile())
    assert read.pools["gpu-a100"].max_workers == 4
    assert read.pools["gpu-a100"].gpu_resource == "nvidia.com/gpu"
    written = read.model_dump(mode="json", by_alias=True)
    assert ClusterProfile.model_validate(written) == read
    assert "defaultPool" in written


SMALL = {"cpus": 1, "memory": "1Gi"}
POOL = SMALL | {"maxWorkers": 1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"defaultPool": "gpu"}, "`defaultPool` is `gpu`, `pools` has `gpu-a100`"),
        ({"sharedPool": "cpu"}, "`sharedPool` is `cpu`, `pools` has `gpu-a100`"),
        ({"pools": {}}, "at least 1 item"),
        ({"pools": {"gpu-a100": POOL | {"minWorkers": 2}}}, "`minWorkers` is 2, above `maxWork"),
        ({"pools": {"gpu-a100": POOL | {"memory": "lots"}}}, "should match pattern"),
        ({"pools": {"GPU": POOL}}, "should match pattern"),
        ({"pools": {"gpu-a100": POOL | {"nodeSelector": {"a b": "c"}}}}, "should match pattern"),
        ({"pools": {"gpu-a100": POOL | {"nodeSelector": {"A.io/b": "c"}}}}, "should match patt"),
        ({"pools": {"gpu-a100": POOL | {"nodeSelector": {"a..b/c": "d"}}}}, "should match patt"),
        ({"pools": {"gpu-a100": POOL | {"nodeSelector": {"a.-b/c": "d"}}}}, "should match patt"),
        ({"pools": {"gpu-a100": POOL | {"nodeSelector": {"a": "c d"}}}}, "should match pattern"),
        ({"head": SMALL | {"tolerations": [{"key": "gpu="}]}}, "should match pattern"),
        ({"head": SMALL | {"tolerations": [{"key": "a", "value": "b"}]}}, "`Exists`, which take"),
        ({"tracking": {"uri": "http://ada:s3cret@mlflow"}}, "an address with a user name"),
        ({"tracking": {"uri": "http://a", "publicUrl": "sqlite:///x"}}, "should match pattern"),
        (
            {"storage": {"corpora": "s3://k:s@b", "output": "s3://b/runs"}},
            "should match pattern",
        ),
        ({"image": "registry.example.org/pricon"}, "should match pattern"),
        ({"storage": {"corpora": "s3://b/c?x=1", "output": "s3://b/r"}}, "a query or a fragm"),
        ({"storage": {"corpora": "s3://b/c", "output": "s3://b#r"}}, "a query or a fragm"),
        ({"storage": {"corpora": "/data", "output": "s3://b/runs"}}, "should match pattern"),
        ({"storage": {"corpora": "s3://b/c", "output": "s3://b/r", "secretKey": "x"}}, "Extra"),
        ({"headNode": {}}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ClusterProfile.model_validate(profile(**changes))


def test_keys_of_labels_are_those_of_kubernetes() -> None:
    keys = ["pool", "cloud.google.com/gke-accelerator", "A_b.C", "x/" + "n" * 63]
    pool = POOL | {"nodeSelector": dict.fromkeys(keys, "Yes_1.0")}
    pool["tolerations"] = [{"key": key, "operator": "Equal", "value": "true"} for key in keys]
    read = ClusterProfile.model_validate(profile(pools={"gpu-a100": pool}))
    assert [*read.pools["gpu-a100"].node_selector] == keys


@pytest.mark.parametrize(
    ("memory", "expected"),
    [("8Gi", 8 * 2**30), ("1.5G", 1.5e9), ("512Mi", 2**29), ("1024", 1024), ("3000m", 3)],
)
def test_memory_in_bytes(memory: str, expected: float) -> None:
    assert PlacementSpec(cpus=1, memory=memory).memory_bytes == expected
