"""Which logs a pod has, and how their ends are read."""

import io
import json

import pytest

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.container_logs import ContainerLog, container_logs, copy_end
from pricon.launch.kubernetes.refusals import BrokenStreamError, UnreadableLogError
from tests.launch.kubernetes.apifaults import SILENT_NODE, ApiServer
from tests.launch.kubernetes.operator import Operator, pod, ray_job

CRASHED = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("state", "restarts", "expected"),
    [
        ({"waiting": {"reason": "ContainerCreating"}}, 0, []),
        ({"running": {}}, 0, ["pods/a/c.log"]),
        ({"terminated": {"exitCode": 1}}, 0, ["pods/a/c.log"]),
        (CRASHED, 2, ["pods/a/c.log"]),
        ({"terminated": {"exitCode": 1}}, 1, ["pods/a/c.log", "pods/a/c.previous.log"]),
        ({"running": {}}, 1, ["pods/a/c.log", "pods/a/c.previous.log"]),
    ],
)
@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
def test_which_logs_there_are(
    kind: str, state: dict[str, object], restarts: int, expected: list[str]
) -> None:
    body = pod("a", "head", {kind: [{"name": "c", "state": state, "restartCount": restarts}]})
    assert [log.file for log in container_logs(body)] == expected


def test_a_pod_without_a_status_has_no_logs() -> None:
    assert [*container_logs(pod("a", "head"))] == []


@pytest.fixture
def log(operator: Operator) -> ContainerLog:
    operator.add(ray_job())
    operator.start()
    operator.say("one", "two", "three")
    return ContainerLog(pod=operator.submitter, container="ray-job-submitter")


def said(file: io.BytesIO) -> list[str]:
    return [line.split(" ", 1)[1] for line in file.getvalue().decode().splitlines()]


@pytest.mark.parametrize(("most", "cut", "rest"), [(2, True, 1), (3, True, 0), (4, False, 0)])
def test_the_end_of_a_log(
    most: int, cut: bool, rest: int, kube: Cluster, log: ContainerLog
) -> None:
    file = io.BytesIO()
    assert copy_end(kube, log, file, most) is cut
    assert said(file) == ["one", "two", "three"][rest:]


def test_a_connection_that_breaks_once(kube: Cluster, api: ApiServer, log: ContainerLog) -> None:
    api.fail("log", cut_after=1)
    file = io.BytesIO()
    assert copy_end(kube, log, file, 9) is False
    assert said(file) == ["one", "two", "three"], "from its beginning, not twice"


def test_a_connection_that_breaks_twice(kube: Cluster, api: ApiServer, log: ContainerLog) -> None:
    api.fail("log", cut_after=2, times=2)
    file = io.BytesIO()
    with pytest.raises(BrokenStreamError):
        copy_end(kube, log, file, 9)
    assert said(file)[:2] == ["one", "two"]
    assert api.times("log", "pods") == 2


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_of_two_tries_the_longer_is_kept(
    first: int, second: int, kube: Cluster, api: ApiServer, log: ContainerLog
) -> None:
    api.fail("log", cut_after=first)
    api.fail("log", cut_after=second)
    file = io.BytesIO()
    with pytest.raises(BrokenStreamError):
        copy_end(kube, log, file, 9)
    assert said(file)[:2] == ["one", "two"]
    assert said(file)[2:] != ["one"], "of one try, not of both"
    assert file.tell() == len(file.getvalue())


def test_a_pod_that_goes_between_two_tries(
    kube: Cluster, api: ApiServer, log: ContainerLog
) -> None:
    gone = {"kind": "Status", "reason": "NotFound", "details": {"kind": "pods"}}
    api.fail("log", cut_after=2)
    api.fail("log", status=404, body=json.dumps(gone))
    file = io.BytesIO()
    with pytest.raises(BrokenStreamError, match=f"^Pod `{log.pod}` is gone"):
        copy_end(kube, log, file, 9)
    assert said(file)[:2] == ["one", "two"]


def test_large_logs_are_moved_piece_by_piece(
    kube: Cluster, api: ApiServer, log: ContainerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricon.launch.kubernetes.container_logs._PIECE_BYTES", 7)
    api.fail("log", cut_after=2)
    file = io.BytesIO()
    assert copy_end(kube, log, file, 9) is False
    assert said(file) == ["one", "two", "three"]


def test_one_that_crashes_has_one_log(kube: Cluster, api: ApiServer, operator: Operator) -> None:
    operator.add(ray_job())
    status = {"containerStatuses": [{"name": "ray-head", "state": CRASHED, "restartCount": 2}]}
    body = operator.add(pod("a", "head", status))
    api.store.print("a", "2026-11-24T12:00:00Z", "it crashed")
    texts = []
    previous = ContainerLog(pod="a", container="ray-head", previous=True)
    for log in (*container_logs(body), previous):
        copy_end(kube, log, file := io.BytesIO(), 9)
        texts.append(said(file))
    assert texts == [["it crashed"], ["it crashed"]], "a kubelet gives it for both questions"


def test_a_node_that_is_away(kube: Cluster, api: ApiServer, log: ContainerLog) -> None:
    api.fail("log", status=500, body=SILENT_NODE, times=9)
    with pytest.raises(UnreadableLogError, match="cannot be read from its node"):
        copy_end(kube, log, io.BytesIO(), 9)
    assert api.times("log", "pods") == 1
