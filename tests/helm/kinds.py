"""Strict schemas of Kubernetes' own objects and of KubeRay's: an unknown key is an error."""

import json
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.helm.render import KubernetesObject
from tests.safeguards.sources import ROOT

VERSIONS = ("1.32", "1.37")
"""The oldest and the newest Kubernetes of the chart."""

KUBERAY = ROOT.parent / "shared" / "kuberay"
NO_SCHEMA = {
    "kueue.x-k8s.io/v1beta2",
    "monitoring.coreos.com/v1",
    "external-secrets.io/v1",
}
"""APIs of others whose schemas are not at hand."""

Schema = dict[str, Any]


def complaints(entry: KubernetesObject, version: str) -> list[str]:
    """What the schema of its kind has against an object, as `path: message`.

    Raises:
        AssertionError: no schema is known for its kind.
    """
    api = entry["apiVersion"]
    if api in NO_SCHEMA:
        return []
    if api.startswith("ray.io/"):
        validator = _kuberay(entry["kind"].lower())
    else:
        validator = _kubernetes(entry["kind"].lower(), api, version)
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


@cache
def _kuberay(kind: str) -> Draft202012Validator:
    path = KUBERAY / f"{kind}.v1.schema.json"
    if not path.exists():
        pytest.skip(f"KubeRay's schemas are not beside the repository: {KUBERAY}")
    schema = json.loads(path.read_text(encoding="utf-8"))["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft202012Validator(strict(schema))


def strict(schema: Schema) -> Schema:
    """The same schema of a CRD, as an API server applies it: what it does not know, it refuses."""
    done: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            done[key] = {name: strict(part) for name, part in value.items()}
        elif isinstance(value, dict):
            done[key] = strict(value)
        elif isinstance(value, list):
            done[key] = [strict(part) if isinstance(part, dict) else part for part in value]
        else:
            done[key] = value
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in schema and not is_open:
        done["additionalProperties"] = False
    return done
