"""Golden files: `default` whole; of every other values file what it changes."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from tests.helm.render import CHART, KubernetesObject, identity
from tests.safeguards.sources import ROOT

GOLDEN = ROOT / "tests" / "golden" / "helm"
FILES = {
    path.read_text(encoding="utf-8"): f"<{path.relative_to(CHART).as_posix()}>"
    for path in sorted((CHART / "files").iterdir())
}


def summary(
    objects: list[KubernetesObject], default: list[KubernetesObject] | None = None
) -> dict[str, Any]:
    """Objects as `kind/name`; beside `default` only those that differ, null where absent."""
    found = {"/".join(identity(entry)): shortened(entry) for entry in objects}
    if default is None:
        return found
    usual = summary(default)
    changed = {name: entry for name, entry in found.items() if usual.get(name) != entry}
    return changed | {name: None for name in usual if name not in found}


def shortened(part: Any) -> Any:
    """The same, with the name of a file of the chart in place of its text."""
    if isinstance(part, dict):
        return {key: shortened(value) for key, value in part.items()}
    if isinstance(part, list):
        return [shortened(value) for value in part]
    return FILES.get(part, FILES.get(f"{part}\n", part)) if isinstance(part, str) else part


def compare(found: dict[str, Any], path: Path) -> None:
    """Fails where the file says otherwise; PRICON_GOLDEN=update rewrites it.

    Raises:
        AssertionError: they differ.
    """
    if os.environ.get("PRICON_GOLDEN") == "update":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(json.loads(json.dumps(found)), width=110), encoding="utf-8")
    assert path.exists(), f"no golden file: PRICON_GOLDEN=update writes {path.name}"
    assert yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) == found
