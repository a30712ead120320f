"""Everything about one run, for people and for programs."""

import json

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.runs import list_runs
from pricon.launch.kubernetes.sending import submit_run
from pricon.launch.kubernetes.status import brief_status, status_of
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.operator import (
    FOLDER,
    HANDLE,
    OUTPUT,
    Operator,
    Rendered,
    end,
    plan,
    pod,
    report,
    training,
    trial,
    used,
)

REPORT = report()


@pytest.fixture(autouse=True)
def submitted(kube: Cluster) -> None:
    submit_run(kube, Rendered())


def test_a_run_that_has_not_started(kube: Cluster) -> None:
    status = status_of(kube, HANDLE)
    assert (status.run, status.job, status.state) == (HANDLE, "tiny", "starting")
    assert status.reason is not None
    assert (status.cells, status.outcome, status.output) == ([], None, OUTPUT)


def test_a_run_under_way(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), training(0, pricon={0: 1}))
    operator.say(trial("a", "e2e", 0), trial("b", "pricon", 1, error="no"))
    operator.add(pod("w", "worker"))
    operator.status(failed=1)
    status = status_of(kube, HANDLE)
    assert (status.state, status.attempts) == ("running", 2)
    assert status.reason is not None
    assert "worker pod `w`" in status.reason.sentence
    found = json.loads(json.dumps(status.to_dict()))
    assert found["trials"] == {"done": 1, "failed": 1, "running": 1, "left": 4, "total": 6}
    assert found["cells"][0] == {
        "arm": "e2e", "fold": 0, "done": 1, "failed": 0, "running": 0, "left": 0, "total": 1,
        "pod_hours": 0.0, "cost": None,
    }  # fmt: skip
    assert [cell["running"] for cell in found["cells"]] == [0, 0, 1, 0]
    assert found["outcome"] is None


def test_cells_have_their_part_of_what_a_run_took(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), used(4.0, e2e={1: 1.0}, pricon={0: 2.0}))
    found = json.loads(json.dumps(status_of(kube, HANDLE).to_dict()))
    assert [cell["pod_hours"] for cell in found["cells"]] == [0.0, 1.0, 2.0, 0.0]
    assert [cell["cost"] for cell in found["cells"]] == [0.0, 1.5, 3.0, 0.0]
    assert found["used"] == {"pod_hours": 4.0, "gpu_hours": 4.0, "cost": 6.0, "currency": "EUR"}
    operator.say(used(0.0))
    assert {cell["cost"] for cell in status_of(kube, HANDLE).to_dict()["cells"]} == {None}


def test_a_driver_that_gave_up_has_failed_once(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), end(2, "input", "no such corpus"))
    operator.finish("STOPPED")
    status = status_of(kube, HANDLE)
    assert (status.state, status.attempts) == ("failed", 1)
    assert status.outcome is not None
    assert (status.outcome.exit_code, status.outcome.message) == (2, "no such corpus")


def test_nothing_runs_where_the_driver_was_killed(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), training(0, pricon={0: 1}))
    operator.finish("FAILED", "Failed", message="the head is gone")
    assert {cell.running for cell in status_of(kube, HANDLE).cells} == {0}


def test_a_run_that_has_ended(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), REPORT, end(1, "trials", "1 trial failed"))
    operator.finish()
    status = status_of(kube, HANDLE)
    assert status.outcome is not None
    assert (status.outcome.exit_code, status.outcome.message) == (1, "1 trial failed")
    assert (status.reason, status.ended) == (None, "2026-11-24T12:30:00Z")


def test_a_log_that_cannot_be_read_now(kube: Cluster, operator: Operator, api: ApiServer) -> None:
    operator.start()
    operator.say(plan())
    api.fail("log", status=500, times=99)
    assert status_of(kube, HANDLE).cells == []


def test_in_brief(kube: Cluster) -> None:
    (run,) = list_runs(kube)
    brief = brief_status(run)
    assert (brief.run, brief.job, brief.state, brief.cells) == (HANDLE, "tiny", "starting", ())


def test_where_the_run_writes(kube: Cluster, operator: Operator) -> None:
    assert status_of(kube, HANDLE).output == OUTPUT
    operator.start()
    operator.say(plan(), REPORT)
    assert status_of(kube, HANDLE).output == FOLDER


def test_no_such_run(kube: Cluster) -> None:
    with pytest.raises(LaunchError, match="there is no run `x`"):
        status_of(kube, "x")
