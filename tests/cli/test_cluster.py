"""The way to a cluster, as the environment and the arguments of a command name it."""

from pathlib import Path

import pytest

from pricon.cli.cluster import open_cluster, tracking_address
from pricon.errors import SpecError
from tests.launch.kubernetes.access import write_kubeconfig


def test_the_kubeconfig_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9"))
    assert open_cluster(None, None).namespace == "research"
    assert open_cluster("lab", "elsewhere").namespace == "elsewhere"


@pytest.mark.parametrize("namespace", ["Not One", "", "-a"])
def test_a_namespace_that_none_can_be(namespace: str) -> None:
    with pytest.raises(SpecError, match="`--namespace` is") as caught:
        open_cluster(None, namespace)
    assert "kubectl get namespaces" in str(caught.value.hint)


def test_mlflow_as_its_own_clients_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert tracking_address() == "http://localhost:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking_address() is None
