"""Schemas of what the chart renders, held strictly: an unknown key is an error.

Kubernetes' own come from `kubernetes-validate`; KubeRay's: tests.kuberay; others': `foreign`.
"""

import json
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.helm.foreign import foreign_schema
from tests.helm.render import KubernetesObject

VERSIONS = ("1.32", "1.37")
"""The oldest and the newest Kubernetes of the chart."""


def complaints(entry: KubernetesObject, version: str) -> list[str]:
    """What the schema of its kind has against an object, as `path: message`.

    Nothing against those of `ray.io/v1`, which `tests.kuberay.check_strictly` looks at.

    Raises:
        AssertionError: no schema is known for its kind.
    """
    api = entry["apiVersion"]
    if api == "ray.io/v1":
        return []
    others = foreign_schema(api, entry["kind"])
    if others is None:
        validator = _kubernetes(entry["kind"].lower(), api, version)
    else:
        validator = Draft202012Validator(others)
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(entry)
    ]


@cache
def _kubernetes(kind: str, api: str, version: str) -> Draft202012Validator:
    """From the schemas that `kubernetes-validate --strict` uses, read once."""
    group, _, number = api.rpartition("/")
    name = f"{kind}-{group.split('.')[0]}-{number}" if group else f"{kind}-{number}"
    path = _folder(version) / f"{name}.json"
    assert path.is_file(), f"no schema of {api} {kind} in Kubernetes {version}"
    schema = json.loads(path.read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> "Registry[Any]":
    text = (_folder(version) / "_definitions.json").read_text(encoding="utf-8")
    registry: Registry[Any] = Resource.from_contents(json.loads(text)) @ Registry()
    return registry


def _folder(version: str) -> Path:
    packed = distribution("kubernetes-validate").locate_file("kubernetes_validate")
    return Path(str(packed)) / "kubernetes-json-schema" / f"v{version}.0-local-strict"
