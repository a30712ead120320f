"""What a user reads where a cluster refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import CONFIG_MAPS, PODS, RAY_JOBS, Cluster
from pricon.launch.kubernetes.kubeconfig import open_access
from pricon.launch.kubernetes.refusals import BrokenStreamError, ForbiddenError, StrangerError
from tests.launch.kubernetes.access import HASTY, connect, write_kubeconfig
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.certificates import serve_tls
from tests.launch.kubernetes.operator import HANDLE, config_map, ray_job


def test_an_expired_token(api: ApiServer, tmp_path: Path) -> None:
    kube = connect(tmp_path, api.url, token="of last month")
    expected = "does not accept the credentials of context `lab`: a token has expired"
    with pytest.raises(LaunchError, match=expected) as caught:
        kube.get(RAY_JOBS, HANDLE)
    assert "log in again" in str(caught.value.hint)
    assert "of last month" not in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "rayjobs"), ("list", "pods"), ("create", "configmaps")]
)
def test_what_roles_do_not_allow(verb: str, resource: str, kube: Cluster, api: ApiServer) -> None:
    api.forbidden.add((verb, resource))
    requests: dict[str, Callable[[], object]] = {
        "rayjobs": lambda: kube.create(RAY_JOBS, ray_job()),
        "configmaps": lambda: kube.create(CONFIG_MAPS, config_map()),
        "pods": lambda: kube.find(PODS),
    }
    expected = f"user `ada` may not {verb} {resource} in namespace `research`"
    with pytest.raises(ForbiddenError, match=expected) as caught:
        requests[resource]()
    assert "role `pricon-submitter`" in str(caught.value.hint)
    assert "is the namespace right?" in str(caught.value.hint), "absent ones are forbidden as well"
    assert "kubectl --context lab --namespace research auth can-i" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "exceeded quota: runs, requested: count/rayjobs.ray.io=1",
            "owner raise it",
        ),
        (
            'unable to create new content in namespace "research" because it is being terminated',
            "somebody deletes this namespace",
        ),
        ('admission webhook "policy" denied the request: no', "names the policy"),
    ],
)
def test_what_the_cluster_does_not_admit(
    message: str, hint: str, kube: Cluster, api: ApiServer
) -> None:
    status = {"kind": "Status", "reason": "Forbidden", "message": message}
    api.fail("create", status=403, body=json.dumps(status))
    with pytest.raises(LaunchError, match=f"does not admit RayJob `{HANDLE}`") as caught:
        kube.create(RAY_JOBS, ray_job())
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
    assert not isinstance(caught.value, ForbiddenError)


def test_a_proxy_forbids(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", status=403, body="<html>blocked</html>")
    with pytest.raises(ForbiddenError, match="you may not get rayjobs in namespace `research`"):
        kube.get(RAY_JOBS, HANDLE)


def test_kuberay_is_not_installed(kube: Cluster, api: ApiServer) -> None:
    api.has_kuberay = False
    for ask in (
        lambda: kube.create(RAY_JOBS, ray_job()),
        lambda: kube.get(RAY_JOBS, HANDLE),
        lambda: kube.find(RAY_JOBS),
    ):
        with pytest.raises(LaunchError, match="KubeRay is not installed") as caught:
            ask()
        assert "helm install kuberay-operator" in str(caught.value.hint)


def test_no_such_namespace(api: ApiServer, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api.url)
    kube = Cluster(open_access(namespace="nowhere", kubeconfig=kubeconfig), HASTY)
    with pytest.raises(LaunchError, match="there is no namespace `nowhere`") as caught:
        kube.create(CONFIG_MAPS, config_map())
    assert "add `--namespace`" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["pods", "pods/log"])
def test_a_pod_that_is_gone(kind: str, kube: Cluster, api: ApiServer) -> None:
    gone = {"kind": "Status", "reason": "NotFound", "details": {"kind": kind}}
    api.fail("log", status=404, body=json.dumps(gone), times=2)
    for is_followed in (False, True):
        with pytest.raises(BrokenStreamError, match=r"^Pod `a-pod` is gone\n\nhint: `pricon st"):
            [*kube.log("a-pod", "ray-head", None, follow=is_followed)]


def test_not_an_api_server_at_all(kube: Cluster, api: ApiServer) -> None:
    api.fail("list", status=404, body="nothing here")
    with pytest.raises(LaunchError, match="has no configmaps: nothing here"):
        kube.find(CONFIG_MAPS)
    api.fail("log", status=404, body="nothing here")
    with pytest.raises(BrokenStreamError, match="has no pods/log: nothing here"):
        [*kube.log("a-pod", "ray-head", None, follow=False)]


def test_an_answer_that_nobody_awaits(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", status=418)
    with pytest.raises(LaunchError, match=r"refuses to get RayJob `.*` \(status 418\): injected"):
        kube.get(RAY_JOBS, HANDLE)


def test_a_server_that_wants_encryption(kube: Cluster, api: ApiServer) -> None:
    said = "Client sent an HTTP request to an HTTPS server.\n"
    api.fail("get", status=400, body=said)
    with pytest.raises(StrangerError, match="is asked without encryption, and wants it") as caught:
        kube.get(RAY_JOBS, HANDLE)
    assert caught.value.hint == "`server` of the kubeconfig must begin with `https://`"


def test_a_page_is_not_printed(kube: Cluster, api: ApiServer) -> None:
    api.fail("list", status=400, body="<!DOCTYPE HTML>\n<html>\nno</html>")
    with pytest.raises(LaunchError) as caught:
        kube.find(PODS)
    assert caught.value.message.endswith("refuses Pods: a page of HTML")
    assert "KubeRay" not in str(caught.value.hint), "it is about pods"


def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    with api_server(serve_tls(tmp_path, "-subj", "/CN=elsewhere")) as server:
        kube = connect(tmp_path, server.url)
        with pytest.raises(
            LaunchError, match=r"certificate of the API server .* not trusted"
        ) as caught:
            kube.get(RAY_JOBS, HANDLE)
    assert "certificate-authority" in str(caught.value.hint)


def test_a_server_that_speaks_no_tls(tmp_path: Path, api: ApiServer) -> None:
    kube = connect(tmp_path, api.url.replace("http:", "https:"))
    with pytest.raises(LaunchError, match="no safe connection with the API server") as caught:
        kube.get(RAY_JOBS, HANDLE)
    assert "is `server` of the kubeconfig right" in str(caught.value.hint)
