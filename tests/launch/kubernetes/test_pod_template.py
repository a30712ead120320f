"""Pods that the strictest namespace admits, and that know no more than they need."""

import json
from typing import Any

import pytest

from pricon.launch.kubernetes.pod_template import (
    AUTOSCALER_MOUNTS,
    head_pod,
    submitter_pod,
    worker_pod,
)
from pricon.launch.leaving import COMMAND, FOLDER
from tests.launch.kubernetes.clusters import IMAGE, make_profile

PROFILE = make_profile(imagePullSecrets=["registry"])
PODS = {
    "head": head_pod(PROFILE, {"a": "b"}, config_map="tiny-1", autoscales=True),
    "worker": worker_pod(PROFILE, PROFILE.pools["gpu-a100"], {"a": "b"}),
    "submitter": submitter_pod(PROFILE, {"a": "b"}),
}


def container(role: str) -> dict[str, Any]:
    (found,) = PODS[role]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("role", PODS)
def test_every_pod_is_restricted(role: str) -> None:
    spec = PODS[role]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(role)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all({"emptyDir", "configMap", "projected"} & {*volume} for volume in spec["volumes"])
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("role", PODS)
def test_every_pod_says_its_size_role_and_image(role: str) -> None:
    resources = container(role)["resources"]
    assert resources["requests"] == resources["limits"]
    assert {"cpu", "memory", "ephemeral-storage"} <= {*resources["limits"]}
    assert PODS[role]["metadata"]["labels"] == {"a": "b", "pricon.dev/role": role}
    assert container(role)["image"] == IMAGE


def test_only_a_head_that_scales_may_ask_the_api_server() -> None:
    for role, pod in PODS.items():
        assert pod["spec"]["automountServiceAccountToken"] is False
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        assert ("api" in volumes) is (role == "head")
        mounts = {mount["name"] for mount in container(role)["volumeMounts"]}
        assert "api" not in mounts, "only the autoscaler's own container has the token"
    fixed = head_pod(PROFILE, {}, config_map="x", autoscales=False)
    assert "api" not in {volume["name"] for volume in fixed["spec"]["volumes"]}
    (mount,) = (mount for mount in AUTOSCALER_MOUNTS if mount["name"] == "api")
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["readOnly"]


def test_nodes_are_not_emptied_under_what_a_run_has_once() -> None:
    kept = {role: "annotations" in pod["metadata"] for role, pod in PODS.items()}
    assert kept == {"head": True, "worker": False, "submitter": True}


def test_shared_memory_grows_with_gpus() -> None:
    pools = make_profile().pools | {
        "big": make_profile().pools["gpu-a100"].model_copy(update={"gpus": 4})
    }
    sizes = [
        next(v for v in worker_pod(PROFILE, pool, {})["spec"]["volumes"] if v["name"] == "shm")
        for pool in (pools["cpu"], pools["gpu-a100"], pools["big"])
    ]
    assert [size["emptyDir"]["sizeLimit"] for size in sizes] == ["1Gi", "1Gi", "4Gi"]


def test_secrets_are_named_and_only_where_they_are_needed() -> None:
    def secrets(role: str) -> set[str]:
        refs = [
            entry["valueFrom"]["secretKeyRef"]
            for entry in container(role)["env"]
            if "valueFrom" in entry
        ]
        return {f"{ref['name']}/{ref['key']}" for ref in refs}

    objects = {"pricon-objects/AWS_ACCESS_KEY_ID", "pricon-objects/AWS_SECRET_ACCESS_KEY"}
    tracking = {f"pricon-tracking/MLFLOW_TRACKING_{key}" for key in ("USERNAME", "PASSWORD")}
    assert secrets("head") == objects | tracking
    assert secrets("worker") == objects
    assert secrets("submitter") == set()


def test_without_secrets_the_service_account_is_enough() -> None:
    profile = make_profile(
        storage={"corpora": "s3://affect/corpora", "output": "s3://affect/runs"}, tracking=None
    )
    pod = head_pod(profile, {}, config_map="x", autoscales=True)
    assert "secretKeyRef" not in json.dumps(pod)


def test_a_worker_asks_for_what_its_pool_has() -> None:
    spec = PODS["worker"]["spec"]
    assert container("worker")["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert spec["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert spec["tolerations"] == [taint]
    assert "nvidia.com/gpu" not in container("head")["resources"]["limits"]


def test_the_head_reads_the_job_from_its_config_map() -> None:
    volume = {"name": "job", "configMap": {"name": "tiny-1"}}
    assert volume in PODS["head"]["spec"]["volumes"]
    assert volume not in PODS["worker"]["spec"]["volumes"]


def test_only_workers_are_told_before_they_are_stopped() -> None:
    assert [role for role in PODS if "lifecycle" in container(role)] == ["worker"]
    worker = container("worker")
    assert worker["lifecycle"]["preStop"]["exec"]["command"] == ["sh", "-c", COMMAND]
    (folder,) = (entry["value"] for entry in worker["env"] if entry["name"] == FOLDER)
    mounts = [mount["mountPath"] for mount in worker["volumeMounts"]]
    assert any(folder.startswith(f"{mount}/") for mount in mounts), "the root cannot be written"
