"""KubeRay's own schemas, held strictly: a key that they do not know is an error.

A real API server drops such a key, or refuses the object.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

_BESIDE = Path(__file__).parents[2] / "shared" / "kuberay"


def check_strictly(ray_object: dict[str, Any]) -> None:
    """Fail at the first key or value that the schema of a RayJob or RayCluster does not allow."""
    for error in strict_schema(ray_object["kind"]).iter_errors(ray_object):
        where = ".".join(map(str, error.absolute_path))
        raise AssertionError(f"{ray_object['kind']} {where}: {error.message}")


@cache
def strict_schema(kind: str) -> Draft202012Validator:
    """KubeRay's schema of a kind, or a skipped test where there is none."""
    folder = Path(os.environ.get("PRICON_KUBERAY", _BESIDE))
    file = folder / f"{kind.lower()}.v1.schema.json"
    if not file.is_file():
        pytest.skip(f"no schemas of KubeRay: neither {_BESIDE} nor $PRICON_KUBERAY holds them")
    schema = _closed(json.loads(file.read_text(encoding="utf-8"))["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft202012Validator(schema)


def _closed(schema: Any) -> Any:
    """The schema with every object closed that does not say that it is open."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    if found.pop("x-kubernetes-int-or-string", False):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    is_open = found.pop("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(found.get("properties"), dict) and not is_open:
        found.setdefault("additionalProperties", False)
    return found
