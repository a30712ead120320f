"""`pricon doctor` as a user types it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_runs import pricon
from tests.launch.kubernetes.access import write_kubeconfig
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import Operator
from tests.launch.kubernetes.premises import prepare


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A cluster on which all is well; the user's kubeconfig names it."""
    with api_server() as server:
        prepare(Operator(server.store))
        file = write_kubeconfig(tmp_path / "kubeconfig", server.url)
        monkeypatch.setenv("KUBECONFIG", file)
        yield server


def test_all_is_well(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ok     API server: {api.url}, Kubernetes v1.36.2"
    assert "ok     tracking: pod `pricon-tracking-0` is ready" in lines
    assert all(line.startswith("ok ") for line in lines)


def test_what_is_wrong_comes_with_a_way_on(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    api.store.delete("secrets", "pricon-objects")
    api.forbidden.add(("list", "nodes"))
    assert pricon("doctor") == 3
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(
        "wrong  secrets: there is no secret `pricon-objects`, which `storage.secretName` of the "
        "profile names"
    )
    assert lines[at + 1].startswith("       hint: the cluster's owner makes it")
    assert lines[-1] == "note   not seen: nodes: only the cluster's owner may look at these"


def test_as_json(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.has_kuberay = False
    assert pricon("doctor", "--json") == 3
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["KubeRay"]["verdict"] == "wrong"
    assert "helm install kuberay-operator" in found["KubeRay"]["hint"]
    assert found["API server"]["hint"] is None


def test_another_profile(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("doctor", "--profile", "other") == 3
    said = capsys.readouterr().out
    assert "wrong  profile: there is no ConfigMap `other` in namespace `research`" in said


def test_a_namespace_that_none_can_be(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("doctor", "--namespace", "Not One") == 2
    assert "`--namespace` is 'Not One'" in capsys.readouterr().err
