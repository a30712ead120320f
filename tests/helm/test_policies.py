"""What no pod, role or object of the chart may do, whatever the values."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pricon.launch.kubernetes.doctor import NEEDED
from tests.helm.binaries import Binary
from tests.helm.render import (
    CHART,
    CI_FILES,
    KubernetesObject,
    ci_file,
    containers,
    environment,
    identity,
    named,
    pods,
    render,
)
from tests.helm.restricted import of_container, violations

Charts = dict[str, list[KubernetesObject]]


def every_pod(charts: Charts) -> Iterator[tuple[str, KubernetesObject]]:
    for feature, objects in charts.items():
        for owner, pod in pods(objects):
            yield f"{feature}: {owner}", pod


def every_container(charts: Charts) -> Iterator[tuple[str, KubernetesObject]]:
    for where, pod in every_pod(charts):
        for container in containers(pod):
            yield f"{where}: {container['name']}", container
    for feature, objects in charts.items():
        for entry in objects:
            if entry["kind"] == "RayCluster":
                sidecar = entry["spec"]["autoscalerOptions"]
                yield f"{feature}: autoscaler", {"name": "autoscaler", **sidecar}


def test_there_is_something_to_look_at(charts: Charts) -> None:
    owners = {where.split(": ")[1] for where, _ in every_pod(charts)}
    assert owners == {
        "Deployment/pricon-tracking",
        "StatefulSet/pricon-object-store",
        "RayCluster/pricon-shared/head",
        "RayCluster/pricon-shared/gpu",
        *(
            f"Pod/pricon-test-{name}"
            for name in ("storage", "tracking", "permissions", "network", "job", "job-gpu-a100")
        ),
    }


def test_every_pod_is_restricted(charts: Charts) -> None:
    found = {where: violations(pod) for where, pod in every_pod(charts)}
    assert {where: wrong for where, wrong in found.items() if wrong} == {}
    found = {where: of_container(container) for where, container in every_container(charts)}
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


def test_an_open_pod_is_noticed() -> None:
    context = {"privileged": True, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}
    container = {"name": "c", "securityContext": context, "ports": [{"hostPort": 80}]}
    volumes = [{"name": "root", "hostPath": {"path": "/"}}]
    pod = {"spec": {"hostNetwork": True, "containers": [container], "volumes": volumes}}
    assert violations(pod) == [
        *("may run as root", "has no seccomp profile", "shares hostNetwork", "mounts hostPath"),
        *("c may gain privileges", "c keeps capabilities", "c writes its root"),
        *("c is privileged", "c takes a port of the node", "c has nowhere to write"),
    ]


def test_every_container_says_what_it_needs(charts: Charts) -> None:
    """Best-effort pods miss Ray's time limits on a busy node, and are the first to be evicted."""
    for where, container in every_container(charts):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), where
        assert "memory" in resources["limits"], where


def test_tokens_are_mounted_where_they_are_needed(charts: Charts) -> None:
    with_token = {
        where.split(": ")[1]
        for where, pod in every_pod(charts)
        if pod["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {
        "Pod/pricon-test-permissions",
        "Pod/pricon-test-job",
        "Pod/pricon-test-job-gpu-a100",
    }
    for objects in charts.values():
        accounts = [entry for entry in objects if entry["kind"] == "ServiceAccount"]
        assert all(entry["automountServiceAccountToken"] is False for entry in accounts)


def test_of_a_head_only_the_autoscaler_has_a_token(charts: Charts) -> None:
    """The driver runs what people wrote; KubeRay lets the account change RayClusters and pods."""
    objects = charts["shared-cluster"]
    owners = dict(pods(objects))
    head, worker = (owners[f"RayCluster/pricon-shared/{name}"] for name in ("head", "gpu"))
    tokens = [
        volume["name"]
        for volume in head["spec"]["volumes"]
        if "serviceAccountToken" in json.dumps(volume)
    ]
    assert tokens == ["api"]
    assert "serviceAccountToken" not in json.dumps(worker["spec"]["volumes"])
    autoscaler = named(objects, "RayCluster", "pricon-shared")["spec"]["autoscalerOptions"]
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    mount = {"name": "api", "mountPath": account, "readOnly": True}
    assert mount in autoscaler["volumeMounts"]
    for container in containers(head):
        assert "api" not in {mount["name"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize(("gpus", "size"), [(0, "1Gi"), (1, "1Gi"), (4, "4Gi")])
def test_shared_memory_of_the_shared_cluster(helm: Binary, gpus: int, size: str) -> None:
    """1 GiB, or that for each GPU; Ray's object store, 256 MiB, fits beside NCCL."""
    objects = render(helm, ci_file("shared-cluster"), settings=(f"profile.pools.gpu.gpus={gpus}",))
    found = {owner: pod for owner, pod in pods(objects) if owner.startswith("RayCluster/")}
    sizes = {}
    for owner, pod in found.items():
        (container,) = containers(pod)
        assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
        (volume,) = [entry for entry in pod["spec"]["volumes"] if entry["name"] == "shm"]
        assert volume["emptyDir"]["medium"] == "Memory"
        sizes[owner.rpartition("/")[2]] = volume["emptyDir"]["sizeLimit"]
    assert sizes == {"head": "1Gi", "gpu": size}
    spec = named(objects, "RayCluster", "pricon-shared")["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert int(group["rayStartParams"]["object-store-memory"]) == 256 * 2**20


def test_every_pod_has_a_role_for_the_network_policies(charts: Charts) -> None:
    for where, pod in every_pod(charts):
        assert pod["metadata"]["labels"]["pricon.dev/role"], where


def test_the_submitter_may_do_what_it_takes_and_nothing_else(charts: Charts) -> None:
    allowed = {
        ("ray.io", "rayjobs"): {"create", "get", "list", "watch", "delete"},
        ("", "configmaps"): {"create", "get", "delete"},
        ("", "pods"): {"get", "list", "watch"},
        ("", "pods/log"): {"get"},
        ("", "events"): {"list"},
    }
    for feature, objects in charts.items():
        roles = [entry for entry in objects if entry["kind"] in ("Role", "ClusterRole")]
        assert [identity(entry) for entry in roles] == [("Role", "pricon-submitter")], feature
        rules = {
            (group, resource): {*rule["verbs"]}
            for rule in roles[0]["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        assert rules == allowed, feature
        asked = {
            (kind.group, "/".join(filter(None, (kind.plural, part)))): {*verbs}
            for kind, part, verbs in NEEDED
        }
        assert asked == allowed, "what `pricon doctor` asks about"
        bindings = [entry for entry in objects if "Binding" in entry["kind"]]
        assert [identity(entry) for entry in bindings] == [("RoleBinding", "pricon-submitter")]


def test_who_submits_is_bound(charts: Charts) -> None:
    subjects = named(charts["limits"], "RoleBinding", "pricon-submitter")["subjects"]
    assert [(entry["kind"], entry["name"], entry.get("namespace")) for entry in subjects] == [
        ("ServiceAccount", "pricon-submitter", "affect"),
        ("Group", "affect-researchers", None),
        ("ServiceAccount", "ci", "ci"),
    ]


SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)


def test_secrets_come_by_reference(charts: Charts) -> None:
    for where, container in every_container(charts):
        assert "envFrom" not in container, where
        for name, value in environment(container).items():
            if SECRET_NAME.search(name):
                assert value.startswith("secret:"), f"{where}: {name}"
        is_script = container.get("command") == ["python", "-c"]
        for text in [] if is_script else container.get("args", []):
            assert not SECRET_NAME.search(text), f"{where}: {text}"
    for objects in charts.values():
        assert "Secret" not in {entry["kind"] for entry in objects}


def test_scripts_reach_python_as_they_are(charts: Charts) -> None:
    """Kubernetes replaces `$(NAME)` in arguments; a script must not have any."""
    scripts = [path.read_text(encoding="utf-8") for path in (CHART / "files").glob("*.py")]
    inline = {
        container["args"][0]
        for _, container in every_container(charts)
        if container.get("command") == ["python", "-c"]
    }
    assert {text.strip() for text in inline} == {text.strip() for text in scripts}
    assert [text for text in scripts if "$(" in text] == []


def test_the_server_that_answers_never_sees_a_password(charts: Charts) -> None:
    (pod,) = [pod for owner, pod in pods(charts["default"]) if owner.startswith("Deployment/")]
    prepare, server = containers(pod)
    assert environment(prepare)["ADMIN_PASSWORD"] == "secret:pricon-tracking/admin-password"
    assert [value for value in environment(server).values() if "password" in value.lower()] == []


def test_only_what_a_value_asks_for_is_cluster_wide(charts: Charts) -> None:
    wide = {
        feature: {entry["kind"] for entry in objects if "namespace" not in entry["metadata"]}
        for feature, objects in charts.items()
    }
    assert {feature: kinds for feature, kinds in wide.items() if kinds} == {
        "kueue": {"ClusterQueue", "ResourceFlavor"},
        "limits": {"PriorityClass"},
    }


def test_a_digest_wins_over_a_tag(charts: Charts) -> None:
    ones, twos = (f"registry.example.org/affect/pricon@sha256:{digit * 64}" for digit in "12")
    images = {
        container["image"] for _, pod in pods(charts["digest"]) for container in containers(pod)
    }
    assert images == {ones}
    assert twos in named(charts["digest"], "ConfigMap", "pricon-profile")["data"]["profile.yaml"]


def test_no_values_file_holds_a_secret() -> None:
    for path in [CHART / "values.yaml", *CI_FILES]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|://[^/\s@]+:[^/\s@]+@",
            re.sub(r"#.*", "", text),
        )


def test_heads_are_not_evicted(charts: Charts) -> None:
    """Whom the budget selects is asked of rendered pods: tests/helm/test_runs.py."""
    budget = named(charts["default"], "PodDisruptionBudget", "pricon-heads")["spec"]
    assert budget["minAvailable"] >= 10_000


@pytest.mark.parametrize("feature", ["default", "object-store", "tracking-postgres"])
def test_names_of_selectors_find_their_pods(charts: Charts, feature: str) -> None:
    labels = {owner: pod["metadata"]["labels"] for owner, pod in pods(charts[feature])}
    for entry in charts[feature]:
        if entry["kind"] == "Service":
            wanted: dict[str, Any] = entry["spec"]["selector"]
            found = [owner for owner, have in labels.items() if wanted.items() <= have.items()]
            assert len(found) == 1, json.dumps(wanted)
