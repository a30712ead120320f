"""The chart as helm renders it, read back as plain objects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pricon.spec.profile import ClusterProfile
from tests.helm.binaries import Binary
from tests.safeguards.sources import ROOT

CHART = ROOT / "helm" / "pricon"
RELEASE, NAMESPACE = "pricon", "affect"
KubernetesObject = dict[str, Any]

CI_FILES = sorted((CHART / "ci").glob("*-values.yaml"))
FEATURES = [path.name.removesuffix("-values.yaml") for path in CI_FILES]

FOREIGN_APIS = (
    "ray.io/v1/RayJob",
    "ray.io/v1/RayCluster",
    "kueue.x-k8s.io/v1beta2/LocalQueue",
    "monitoring.coreos.com/v1/PodMonitor",
    "external-secrets.io/v1/ExternalSecret",
)
"""What the operators of a full cluster add to its API."""


def ci_file(name: str) -> Path:
    """`ci/<name>-values.yaml`."""
    return CHART / "ci" / f"{name}-values.yaml"


def arguments(
    *values: Path, settings: tuple[str, ...] = (), apis: tuple[str, ...] = FOREIGN_APIS
) -> list[str]:
    """Arguments of `helm template` for these values files and `--set` settings."""
    given = [argument for path in values for argument in ("--values", str(path))]
    given += [argument for setting in settings for argument in ("--set", setting)]
    known = [argument for api in apis for argument in ("--api-versions", api)]
    return ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, *given, *known]


def render(helm: Binary, *values: Path, settings: tuple[str, ...] = ()) -> list[KubernetesObject]:
    """Every object of the chart, in the order of kind and name."""
    return read(helm.run(*arguments(*values, settings=settings)).stdout)


def read(text: str) -> list[KubernetesObject]:
    """Objects of a stream of YAML documents, in the order of kind and name."""
    loaded = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return sorted((entry for entry in loaded if entry), key=identity)


def identity(entry: KubernetesObject) -> tuple[str, str]:
    """Kind and name."""
    return entry["kind"], entry["metadata"]["name"]


def named(objects: list[KubernetesObject], kind: str, name: str) -> KubernetesObject:
    """The one object of this kind and name."""
    (found,) = [entry for entry in objects if identity(entry) == (kind, name)]
    return found


def pods(objects: list[KubernetesObject]) -> Iterator[tuple[str, KubernetesObject]]:
    """Every pod that these objects lead to, with the name of its owner, as `kind/name`."""
    for entry in objects:
        owner = f"{entry['kind']}/{entry['metadata']['name']}"
        spec = entry.get("spec", {})
        if entry["kind"] == "Pod":
            yield owner, entry
        elif entry["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield owner, spec["template"]
        elif entry["kind"] == "RayCluster":
            yield f"{owner}/head", spec["headGroupSpec"]["template"]
            for group in spec["workerGroupSpecs"]:
                yield f"{owner}/{group['groupName']}", group["template"]


def containers(pod: KubernetesObject) -> list[KubernetesObject]:
    """All containers of a pod, those that run first included."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def environment(container: KubernetesObject) -> dict[str, str]:
    """Variables of a container; from a secret as `secret:<name>/<key>`."""
    return {entry["name"]: _value(entry) for entry in container.get("env", [])}


def _value(entry: KubernetesObject) -> str:
    if "value" in entry:
        return str(entry["value"])
    reference = entry["valueFrom"]["secretKeyRef"]
    return f"secret:{reference['name']}/{reference['key']}"


def profile_of(objects: list[KubernetesObject], name: str = "pricon-profile") -> ClusterProfile:
    """The cluster profile among these objects, as pricon reads it."""
    text = named(objects, "ConfigMap", name)["data"]["profile.yaml"]
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    return ClusterProfile.model_validate_json(json.dumps(document))
