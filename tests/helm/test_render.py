"""What the chart makes of every values file: the same in both majors, known to Kubernetes."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from pricon import __version__
from tests.helm.binaries import Binary
from tests.helm.foreign import foreign_schema
from tests.helm.golden import GOLDEN, compare, summary
from tests.helm.kinds import VERSIONS, complaints
from tests.helm.render import (
    CHART,
    CI_FILES,
    FEATURES,
    KubernetesObject,
    identity,
    named,
    pods,
    read,
    render,
)
from tests.kuberay import check_strictly


@pytest.mark.parametrize("path", CI_FILES, ids=FEATURES)
def test_both_majors_render_the_same(helms: dict[str, Binary], path: Path) -> None:
    assert render(helms["helm3"], path) == render(helms["helm4"], path)


@pytest.mark.parametrize("path", CI_FILES, ids=FEATURES)
def test_lint_has_nothing_to_say(each_helm: Binary, path: Path) -> None:
    done = each_helm.run("lint", "--strict", str(CHART), "--values", str(path))
    told = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert told in ([], ["[INFO] Chart.yaml: icon is recommended"])


@pytest.mark.parametrize("feature", FEATURES)
def test_golden(charts: dict[str, list[KubernetesObject]], feature: str) -> None:
    default = None if feature == "default" else charts["default"]
    compare(summary(charts[feature], default), GOLDEN / f"{feature}.yaml")


def test_nothing_is_rendered_twice(charts: dict[str, list[KubernetesObject]]) -> None:
    for feature, objects in charts.items():
        names = [identity(entry) for entry in objects]
        assert len(names) == len({*names}), feature


def test_every_golden_file_is_of_a_feature() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == FEATURES


def unique(charts: dict[str, list[KubernetesObject]]) -> list[KubernetesObject]:
    """Objects of all features, each once."""
    texts = {json.dumps(entry, sort_keys=True) for objects in charts.values() for entry in objects}
    return [json.loads(text) for text in sorted(texts)]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_key(
    charts: dict[str, list[KubernetesObject]], version: str
) -> None:
    found = {"/".join(identity(entry)): complaints(entry, version) for entry in unique(charts)}
    assert len(found) > 40
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_kuberay_knows_every_key(charts: dict[str, list[KubernetesObject]]) -> None:
    clusters = [entry for entry in unique(charts) if entry["apiVersion"].startswith("ray.io/")]
    assert [identity(entry) for entry in clusters] == [("RayCluster", "pricon-shared")]
    check_strictly(clusters[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_key_of_ray_pods(
    charts: dict[str, list[KubernetesObject]], version: str
) -> None:
    templates = dict(pods(charts["shared-cluster"]))
    ray = [owner for owner in templates if owner.startswith("RayCluster/")]
    assert ray == ["RayCluster/pricon-shared/head", "RayCluster/pricon-shared/gpu"]
    for owner in ray:
        pod = {"apiVersion": "v1", "kind": "Pod", **templates[owner]}
        assert complaints(pod, version) == []


def test_a_wrong_key_is_noticed() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}
    assert complaints(service | {"spec": {"port": 1}}, "1.32") == [
        "spec: Additional properties are not allowed ('port' was unexpected)"
    ]


@pytest.mark.parametrize(
    ("feature", "kinds"),
    [
        ("monitoring", {"PodMonitor"}),
        ("external-secrets", {"ExternalSecret"}),
        ("kueue", {"LocalQueue", "ClusterQueue", "ResourceFlavor"}),
    ],
)
def test_a_wrong_key_of_an_operator_is_noticed(
    charts: dict[str, list[KubernetesObject]], feature: str, kinds: set[str]
) -> None:
    theirs = [e for e in charts[feature] if foreign_schema(e["apiVersion"], e["kind"])]
    assert {entry["kind"] for entry in theirs} == kinds
    for entry in theirs:
        assert complaints(entry, "1.37") == []
        (said,) = complaints({**entry, "spec": {**entry["spec"], "spek": 1}}, "1.37")
        assert said == "spec: Additional properties are not allowed ('spek' was unexpected)"
    unknown = {**theirs[0], "kind": "Unknown"}
    with pytest.raises(AssertionError, match=r"no schema of .* unknown"):
        complaints(unknown, "1.37")


def test_a_flavour_gives_what_its_group_covers(
    charts: dict[str, list[KubernetesObject]],
) -> None:
    """In that order, which Kueue asks for and no schema can say."""
    (group,) = named(charts["kueue"], "ClusterQueue", "pricon")["spec"]["resourceGroups"]
    for flavour in group["flavors"]:
        assert [one["name"] for one in flavour["resources"]] == group["coveredResources"]


def test_the_chart_is_of_this_version() -> None:
    (chart,) = [
        line.split()[1].strip('"')
        for line in (CHART / "Chart.yaml").read_text(encoding="utf-8").splitlines()
        if line.startswith("appVersion:")
    ]
    assert chart == __version__


@pytest.mark.parametrize(
    ("version", "is_known"),
    [("1.31.9", False), ("1.32.0", True), ("1.37.3-gke.100", True), ("1.38.0", False)],
)
def test_kubernetes_versions(each_helm: Binary, version: str, is_known: bool) -> None:
    done = each_helm.run("template", "x", str(CHART), "--kube-version", version, check=False)
    assert (done.returncode == 0) is is_known
    if not is_known:
        assert "chart requires kubeVersion: >=1.32-0 <1.38-0" in done.stderr


def test_it_packs_without_what_only_tests_need(each_helm: Binary, tmp_path: Path) -> None:
    each_helm.run("package", str(CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("pricon-*.tgz")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
    assert "pricon/files/prepare_tracking.py" in names
    assert [name for name in names if name.startswith("pricon/ci/")] == []
    assert [name for name in names if "crds/" in name or "charts/" in name] == []


def test_objects_read_back_are_sorted() -> None:
    text = "kind: B\nmetadata: {name: x}\n---\n---\nkind: A\nmetadata: {name: y}\n"
    assert [entry["kind"] for entry in read(text)] == ["A", "B"]


def test_every_values_file_is_in_the_readme() -> None:
    rows = re.findall(r"^\| (`.+?) \|", (CHART / "README.md").read_text(encoding="utf-8"), re.M)
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == FEATURES
