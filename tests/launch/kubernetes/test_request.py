"""Requests as paths, roles and sentences name them."""

from typing import Any

from pricon.launch.kubernetes.client import PODS, RAY_JOBS, Cluster
from pricon.launch.kubernetes.premises import NODES
from pricon.launch.kubernetes.request import Answer, Kind, Request


def request(kube: Cluster, kind: Kind, **parts: Any) -> Request:
    rest = {"name": None, "part": None, "query": {}, "body": None} | parts
    return Request(verb="get", kind=kind, access=kube.access, **rest)


def test_paths_with_and_without_a_namespace(kube: Cluster) -> None:
    log = request(kube, PODS, name="a", part="log")
    assert "/".join(log.path) == "api/v1/namespaces/research/pods/a/log"
    assert log.resource == "pods/log"
    assert "/".join(request(kube, NODES).path) == "api/v1/nodes"
    assert "/".join(request(kube, RAY_JOBS).path) == "apis/ray.io/v1/namespaces/research/rayjobs"


def test_groups_as_roles_have_them() -> None:
    assert (PODS.group, RAY_JOBS.group) == ("", "ray.io")


def test_how_sentences_name_an_object(kube: Cluster) -> None:
    assert request(kube, PODS, name="a").what == "Pod `a`"
    assert request(kube, PODS, body={"metadata": {"name": "b"}}).what == "Pod `b`"
    assert request(kube, PODS).what == "Pods"


def test_answers_of_others_than_an_api_server() -> None:
    answer = Answer(502, {"Retry-After": "soon"}, b"<html>bad gateway</html>")
    assert not answer.is_status
    assert (answer.reason, answer.retry_after_s) == ("", 0.0)
    assert answer.message == "a page of HTML"
    assert Answer(503, {"Retry-After": "7"}, b"").retry_after_s == 7.0
    assert Answer(503, {}, b"").message == "status 503"
