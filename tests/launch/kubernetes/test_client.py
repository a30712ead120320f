"""Requests to a real HTTP server: what is tried again, what is not, and what a user reads."""

import json
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import (
    CONFIG_MAPS,
    PODS,
    RAY_JOBS,
    Cluster,
)
from pricon.launch.kubernetes.kubeconfig import open_access
from pricon.launch.kubernetes.patience import Patience
from pricon.launch.kubernetes.refusals import (
    BrokenStreamError,
    RefusedError,
    UnansweredError,
    UnreadableLogError,
)
from tests.launch.kubernetes.access import HASTY, connect, write_kubeconfig
from tests.launch.kubernetes.apifaults import NOT_YET_ALLOWED, SILENT_NODE, ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, config_map, pod, ray_job

NAMED = {"fieldSelector": f"metadata.name={HANDLE}"}


def test_objects_are_plain_dicts(kube: Cluster, api: ApiServer) -> None:
    made = kube.create(CONFIG_MAPS, config_map())
    assert made is not None
    assert kube.get(CONFIG_MAPS, HANDLE) == made
    assert kube.get(CONFIG_MAPS, "another") is None
    assert kube.create(CONFIG_MAPS, config_map()) is None, "one of this name is there"
    kube.delete(CONFIG_MAPS, HANDLE, "the uid of one before it")
    assert kube.get(CONFIG_MAPS, HANDLE) == made, "another object than was meant"
    for _ in range(2):  # an API server deletes it after all that it owns, and it owns nothing
        kube.delete(CONFIG_MAPS, HANDLE, made["metadata"]["uid"])
        there = kube.get(CONFIG_MAPS, HANDLE)
        assert there is None or "deletionTimestamp" in there["metadata"]
    api.settle("configmaps", 0)
    kube.delete(CONFIG_MAPS, HANDLE, made["metadata"]["uid"])


@pytest.mark.parametrize("name", ["", "..", "../configmaps", "a/log", "UPPER", "a" * 254])
def test_what_no_object_can_be_called_is_not_asked_for(
    name: str, kube: Cluster, api: ApiServer
) -> None:
    assert kube.get(RAY_JOBS, name) is None
    assert api.asked == []


@pytest.mark.parametrize("is_stale", [False, True])
def test_lists_are_read_page_by_page(
    is_stale: bool, kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    for index in range(501):
        operator.add(pod(f"pod-{index:03d}", "worker"))
    operator.add(pod("foreign", "worker", labels={"pricon.dev/run": "another"}))
    if is_stale:
        api.fail("list", "pods", status=410, after=1)
    found = kube.find(PODS, f"pricon.dev/run={HANDLE}")
    assert [one["metadata"]["name"] for one in found] == [f"pod-{n:03d}" for n in range(501)]
    assert api.times("list", "pods") == (3 if is_stale else 2)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_trouble_of_the_server_is_waited_for(status: int, kube: Cluster, api: ApiServer) -> None:
    api.fail("create", "configmaps", status=status, times=3)
    assert kube.create(CONFIG_MAPS, config_map()) is not None
    assert api.times("create", "configmaps") == 4


def test_two_creations_that_meet_in_a_quota(kube: Cluster, api: ApiServer) -> None:
    body = '{"kind": "Status", "reason": "Conflict", "message": "resourcequotas was modified"}'
    api.fail("create", "configmaps", status=409, body=body)
    assert kube.create(CONFIG_MAPS, config_map()) is not None
    api.fail("create", "configmaps", status=409, body=body, times=99)
    with pytest.raises(LaunchError, match=r"status 409.*resourcequotas was modified"):
        kube.create(CONFIG_MAPS, config_map())


def test_a_quota_that_nobody_has_counted_yet(kube: Cluster, api: ApiServer) -> None:
    """As every quota is in the second after `helm install`."""
    message = 'configmaps "x" is forbidden: status unknown for quota: pricon, resources: cpu'
    body = json.dumps({"kind": "Status", "reason": "Forbidden", "message": message})
    api.fail("create", "configmaps", status=403, body=body, times=2)
    assert kube.create(CONFIG_MAPS, config_map()) is not None


def test_trouble_that_lasts_is_said(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", status=503, times=99)
    with pytest.raises(UnansweredError, match=r"trouble of its own \(status 503\): injected"):
        kube.get(RAY_JOBS, HANDLE)
    assert api.times("get", "rayjobs") == HASTY.attempts


def test_the_server_says_when_to_come_back(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    assert kube.get(RAY_JOBS, HANDLE) is None
    assert time.monotonic() - began >= 1.0


def test_a_reset_connection_is_opened_again(kube: Cluster, api: ApiServer) -> None:
    api.fail("get", reset=True, times=2)
    assert kube.get(RAY_JOBS, HANDLE) is None
    assert api.times("get", "rayjobs") == 3


def test_a_lost_answer_creates_nothing_twice(kube: Cluster, api: ApiServer) -> None:
    api.fail("create", "configmaps", reset=True, is_done=True)
    assert kube.create(CONFIG_MAPS, config_map()) is None
    assert api.times("create", "configmaps") == 2
    assert len(api.store.find("configmaps")) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(401, None), (403, NOT_YET_ALLOWED), (404, "404 page not found")]
)
def test_a_server_that_only_just_answers_again_is_not_taken_at_its_word(
    status: int, body: str | None, kube: Cluster, api: ApiServer
) -> None:
    api.fail("list", reset=True)
    api.fail("list", status=status, body=body, times=2)
    assert kube.find(RAY_JOBS) == []
    api.fail("list", status=status, body=body, times=9)
    with pytest.raises(RefusedError):
        kube.find(RAY_JOBS)
    assert api.times("list", "rayjobs") == 5, "whom it refuses all the time is told at once"


@pytest.mark.parametrize("trouble", [429, 500])
def test_what_a_quota_does_not_admit_is_said_at_once(
    trouble: int, kube: Cluster, api: ApiServer
) -> None:
    """Whoever counts a quota knows already who may do what."""
    message = 'configmaps "x" is forbidden: exceeded quota: pricon, requested: cpu=8'
    body = json.dumps({"kind": "Status", "reason": "Forbidden", "message": message})
    api.fail("create", "configmaps", status=trouble)
    api.fail("create", "configmaps", status=403, body=body, times=9)
    with pytest.raises(LaunchError, match="does not admit"):
        kube.create(CONFIG_MAPS, config_map())
    assert api.times("create", "configmaps") == 2


def test_a_proxy_that_is_away_is_named(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig", "http://k8s.example:6443", **{"proxy-url": "http://127.0.0.1:1"}
    )
    with pytest.raises(UnansweredError) as caught:
        Cluster(open_access(kubeconfig=kubeconfig), HASTY).find(RAY_JOBS)
    assert "proxy" in caught.value.message
    assert "port=1" not in caught.value.message


def test_a_body_that_stops_in_its_middle_is_asked_for_again(kube: Cluster, api: ApiServer) -> None:
    kube.create(CONFIG_MAPS, config_map())
    api.fail("get", stall_s=3.0)
    began = time.monotonic()
    assert kube.get(CONFIG_MAPS, HANDLE) is not None
    assert time.monotonic() - began < 2.5


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(UnansweredError, match=r"does not answer: .*refused") as caught:
        connect(tmp_path, url).get(RAY_JOBS, HANDLE)
    assert url in caught.value.message
    assert "HTTPConnection" not in caught.value.message
    assert "is a VPN needed?" in str(caught.value.hint)
    assert "kubectl --context lab" in str(caught.value.hint)


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UnansweredError, match=r"nowhere\.invalid"):
        connect(tmp_path, "http://nowhere.invalid").get(RAY_JOBS, HANDLE)


@pytest.mark.parametrize(
    "body", ["<html>Welcome to the hotel</html>", "[]", "null", '"x"', "{}", '{"metadata": {}}']
)
def test_something_else_answers(kube: Cluster, api: ApiServer, body: str) -> None:
    api.fail("get", status=200, body=body)
    with pytest.raises(LaunchError, match="answers, but not as an API server does") as caught:
        kube.get(RAY_JOBS, HANDLE)
    assert "a proxy in between" in str(caught.value.hint)


def test_a_dry_run_stores_nothing(kube: Cluster, api: ApiServer) -> None:
    assert kube.create(RAY_JOBS, ray_job(), dry_run=True) is not None
    assert api.store.find("rayjobs") == []


def test_keys_that_the_server_does_not_know_are_errors(kube: Cluster) -> None:
    wrong = ray_job()
    wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["replicas"] = 2
    expected = 'refuses RayJob `tiny-0123abcd`: .*unknown field "spec.rayClusterSpec.headGroupSpec'
    with pytest.raises(LaunchError, match=expected) as caught:
        kube.create(RAY_JOBS, wrong)
    assert caught.value.hint == ("is KubeRay older than 1.7? `helm list --all-namespaces` shows it")
    wrong = ray_job()
    wrong["spec"]["backoffLimit"] = "two"
    with pytest.raises(LaunchError, match=r"spec\.backoffLimit: Invalid value: "):
        kube.create(RAY_JOBS, wrong)


def test_a_watch_tells_what_happens(kube: Cluster, operator: Operator) -> None:
    operator.add(ray_job())
    found, version = kube.listing(RAY_JOBS, NAMED)
    assert [one["metadata"]["name"] for one in found] == [HANDLE]
    watch = kube.watch(RAY_JOBS, NAMED, version)
    operator.status(jobDeploymentStatus="Running")
    change, seen = next(watch)
    assert (change, seen["status"]) == ("MODIFIED", {"jobDeploymentStatus": "Running"})
    operator.store.delete("rayjobs", HANDLE)
    assert next(watch)[0] == "DELETED"


@pytest.mark.parametrize("how", ["gone", "refused", "cut", "politely", "quiet"])
def test_a_watch_that_breaks(
    how: str, kube: Cluster, operator: Operator, api: ApiServer, tmp_path: Path
) -> None:
    operator.add(ray_job())
    version = kube.listing(RAY_JOBS, NAMED)[1]
    if how == "gone":
        api.store.compacted = 10**6
    elif how == "refused":
        api.fail("watch", status=410)
    elif how in {"cut", "politely"}:
        api.fail("watch", cut_after=0, is_polite=how == "politely")
        operator.status(jobDeploymentStatus="Running")
    else:
        kube = connect(tmp_path, api.url, Patience(quiet_s=0.3))
    with pytest.raises(BrokenStreamError):
        next(kube.watch(RAY_JOBS, NAMED, version))


def test_a_watch_of_somebody_whose_token_expires(kube: Cluster, api: ApiServer) -> None:
    api.fail("watch", status=401)
    with pytest.raises(LaunchError, match="a token has expired"):
        next(kube.watch(RAY_JOBS, NAMED, "1"))


def test_a_log_has_time_stamps(kube: Cluster, operator: Operator) -> None:
    operator.add(ray_job())
    operator.start()
    operator.say("one", "two", "three")
    lines = kube.log(operator.submitter, "ray-job-submitter", None, follow=False)
    assert [line.split(b" ", 1)[1] for line in lines] == [b"one\n", b"two\n", b"three\n"]
    late = kube.log(operator.submitter, "ray-job-submitter", "2026-11-24T12:00:01Z", follow=False)
    assert [line.split(b" ", 1)[1] for line in late] == [b"three\n"]


def test_no_log_yet(kube: Cluster, operator: Operator) -> None:
    operator.add(pod("waits", "submitter"))
    with pytest.raises(BrokenStreamError, match=re.escape("is waiting")):
        next(kube.log("waits", "ray-job-submitter", None, follow=True))


@pytest.mark.parametrize("follow", [False, True])
def test_a_node_that_does_not_answer_is_no_trouble_of_the_api_server(
    follow: bool, kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    operator.add(ray_job())
    operator.start()
    api.fail("log", status=500, body=SILENT_NODE, times=99)
    expected = rf"log of Pod `{operator.submitter}` cannot be read from its node: .*refused"
    with pytest.raises(UnreadableLogError, match=expected):
        next(kube.log(operator.submitter, "ray-job-submitter", None, follow=follow))
    assert api.times("log", "pods") == (1 if follow else 2), "a node that is lost stays lost"


def test_a_node_that_answers_the_second_time(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    operator.add(ray_job())
    operator.start()
    operator.say("one")
    api.fail("log", status=500, body=SILENT_NODE)
    (line,) = kube.log(operator.submitter, "ray-job-submitter", None, follow=False)
    assert line.endswith(b" one\n")


def test_a_server_that_hangs_is_told_before_the_second_try(
    api: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_maps = connect(tmp_path, api.url, replace(HASTY, read_s=0.3, silent_s=0.2))
    api.fail("get", stall_s=1.0)
    assert config_maps.get(CONFIG_MAPS, HANDLE) is None
    assert caplog.messages == [f"{api.url} does not answer as it should; trying again"]
    caplog.clear()
    api.fail("get", reset=True)
    assert config_maps.get(CONFIG_MAPS, HANDLE) is None
    assert caplog.messages == [], "once is no trouble"


def test_a_node_that_hangs_is_asked_once(kube: Cluster, operator: Operator, api: ApiServer) -> None:
    operator.add(ray_job())
    operator.start()
    api.fail("log", status=500, stall_s=3.0, times=99)
    with pytest.raises(UnreadableLogError, match="from its node: no answer in time"):
        next(kube.log(operator.submitter, "ray-job-submitter", None, follow=False))
    assert api.times("log", "pods") == 1


def test_the_end_of_a_log_now_and_before_the_last_restart(
    kube: Cluster, operator: Operator
) -> None:
    operator.add(ray_job())
    operator.start()
    operator.say("one", "two", "three")
    operator.store.print(
        f"{operator.submitter}/ray-job-submitter/previous", "2026-11-24T11:00:00Z", "of old"
    )
    last = kube.log_end(operator.submitter, "ray-job-submitter", 2, previous=False)
    assert [line.split(b" ", 1)[1] for line in last] == [b"two\n", b"three\n"]
    previous = kube.log_end(operator.submitter, "ray-job-submitter", 2, previous=True)
    assert [*previous] == [b"2026-11-24T11:00:00Z of old\n"]


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("ray-job-submitter", 'previous terminated container "ray-job-submitter" in pod'),
        ("another", "container another is not valid for pod"),
    ],
)
def test_a_log_that_never_was(container: str, said: str, kube: Cluster, operator: Operator) -> None:
    operator.add(ray_job())
    operator.start()
    with pytest.raises(BrokenStreamError, match=said):
        next(kube.log_end(operator.submitter, container, 2, previous=True))


def test_the_version_of_the_server(kube: Cluster, api: ApiServer) -> None:
    assert kube.version() == "v1.36.2"
    api.forbidden.add(("get", "/version"))
    with pytest.raises(RefusedError, match="user `ada` may not get /version"):
        kube.version()
