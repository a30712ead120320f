"""deploy/kuberay-operator-values.yaml: what the operator's own chart is given.

That chart is not at hand: keys were compared by hand with its `values.yaml`, and a cluster shows
that it takes them (`make cluster-demo`).
"""

from typing import Any

import pytest
import yaml

from tests.safeguards.sources import ROOT


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    text = (ROOT / "deploy" / "kuberay-operator-values.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_nothing_is_said_but_what_is_meant(values: dict[str, Any]) -> None:
    assert values.keys() == {"podSecurityContext", "resources", "featureGates"}


def test_its_pod_passes_pod_security(values: dict[str, Any]) -> None:
    """Of its container the chart itself says what "restricted" asks for."""
    assert values["podSecurityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_it_has_room_and_a_limit_of_memory(values: dict[str, Any]) -> None:
    assert values["resources"].keys() == {"requests", "limits"}
    assert all(part.keys() == {"cpu", "memory"} for part in values["resources"].values())


def test_runs_can_be_kept_apart(values: dict[str, Any]) -> None:
    """A gate of alpha, which `profile.isolateRuns` needs."""
    assert values["featureGates"] == [{"name": "RayClusterNetworkPolicy", "enabled": True}]
