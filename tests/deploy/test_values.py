"""Settings for clouds: values that the chart takes, and pools that nodes are made for."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pricon.spec.profile import ClusterProfile, PoolSpec
from tests.helm.binaries import Binary
from tests.helm.kinds import complaints
from tests.helm.render import KubernetesObject, environment, named, pods, profile_of, render
from tests.safeguards.sources import ROOT

DEPLOY = ROOT / "deploy"
VALUES = sorted((DEPLOY / "values").glob("*.yaml"))

Taint = tuple[str, str, str]
Node = tuple[dict[str, str], set[Taint], int]
"""Labels, taints, and most nodes."""


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_chart_takes_them(helms: dict[str, Binary], path: Path) -> None:
    objects = render(helms["helm4"], path)
    assert objects == render(helms["helm3"], path)
    assert isinstance(profile_of(objects), ClusterProfile)
    wrong = [message for entry in objects for message in complaints(entry, "1.37")]
    assert wrong == []


def test_storage_is_what_the_files_say(helm: Binary) -> None:
    found = {
        name: profile_of(render(helm, DEPLOY / "values" / f"{name}.yaml")).storage
        for name in ("s3", "gcs", "minio")
    }
    assert {name: place.endpoint_url for name, place in found.items()} == {
        "s3": None,
        "gcs": "https://storage.googleapis.com",
        "minio": "http://minio.minio.svc:9000",
    }
    assert {name: place.secret_name for name, place in found.items()} == {
        "s3": None,
        "gcs": "pricon-storage",
        "minio": "pricon-storage",
    }


def test_stores_other_than_aws_are_spared_its_checksums(helm: Binary) -> None:
    def variables(name: str) -> dict[str, str]:
        owners = dict(pods(render(helm, DEPLOY / "values" / f"{name}.yaml")))
        return environment(owners["Deployment/pricon-tracking"]["spec"]["containers"][0])

    assert variables("gcs")["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
    assert "AWS_REQUEST_CHECKSUM_CALCULATION" not in variables("s3")


def gke_nodes() -> dict[str, Node]:
    text = (DEPLOY / "pools" / "gke.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    nodes: dict[str, Node] = {}
    for line in re.findall(r"^pool (.+)$", text, re.MULTILINE):
        name, _, _, most, *flags = line.split()
        taints: set[Taint] = set()
        for taint in flags[flags.index("--node-taints") + 1].split(","):
            key, value, effect = re.split("[=:]", taint)
            taints.add((key, value, effect))
        nodes[name] = ({"pricon.dev/pool": name}, taints, int(most))
    assert '--node-labels "pricon.dev/pool=$1"' in text
    assert "--num-nodes 0 --enable-autoscaling --total-min-nodes 0" in text
    return nodes


def eks_nodes() -> dict[str, Node]:
    document = yaml.safe_load((DEPLOY / "pools" / "eks.yaml").read_text(encoding="utf-8"))
    nodes: dict[str, Node] = {}
    for group in document["managedNodeGroups"]:
        assert (group["minSize"], group["desiredCapacity"]) == (0, 0)
        taints = {(taint["key"], taint["value"], taint["effect"]) for taint in group["taints"]}
        gpus = int(
            group["tags"]["k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu"]
        )
        nodes[group["name"]] = (group["labels"], taints, group["maxSize"] * gpus)
    return nodes


def tolerated(pool: PoolSpec, taint: Taint) -> bool:
    key, value, effect = taint
    return any(
        entry.key == key
        and entry.effect in (None, effect)
        and (entry.operator == "Exists" or entry.value == value)
        for entry in pool.tolerations
    )


@pytest.mark.parametrize(("cloud", "nodes"), [("gke", gke_nodes()), ("eks", eks_nodes())])
def test_pods_of_a_pool_fit_its_nodes(helm: Binary, cloud: str, nodes: dict[str, Node]) -> None:
    profile = profile_of(render(helm, DEPLOY / "values" / f"{cloud}-pools.yaml"))
    pools = {name: pool for name, pool in profile.pools.items() if pool.gpus}
    assert pools.keys() == nodes.keys()
    for name, (labels, taints, most) in nodes.items():
        assert pools[name].node_selector.items() <= labels.items(), name
        assert [taint for taint in taints if not tolerated(pools[name], taint)] == [], name
        assert pools[name].max_workers == most, name
        assert pools[name].min_workers == 0, name
        assert pools[name].spot is ("spot" in name), name


def test_kind_has_room_for_the_demonstration(helm: Binary) -> None:
    nodes: Any = yaml.safe_load((DEPLOY / "kind.yaml").read_text(encoding="utf-8"))["nodes"]
    objects = render(helm, DEPLOY / "values" / "kind.yaml")
    pool = profile_of(objects).pools["cpu"]
    labelled = [
        node for node in nodes if pool.node_selector.items() <= node.get("labels", {}).items()
    ]
    assert len(labelled) >= pool.max_workers
    image = named(objects, "Deployment", "pricon-tracking")["spec"]["template"]["spec"]
    assert image["containers"][0]["image"].startswith("localhost/pricon:")
    names: list[KubernetesObject] = [entry for entry in objects if entry["kind"] == "StatefulSet"]
    assert len(names) == 1
