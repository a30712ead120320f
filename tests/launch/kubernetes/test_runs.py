"""What the status of a RayJob means, and what can be found of a run."""

from typing import Any

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.runs import (
    get_run,
    list_runs,
    log_lines,
    output_of,
    read_log,
    state_of,
)
from tests.launch.kubernetes.operator import OUTPUT, Operator, end, plan, ray_job, trial


@pytest.mark.parametrize(
    ("deployment", "job", "state"),
    [
        (None, None, "starting"), ("", "", "starting"), ("Initializing", "", "starting"),
        ("Waiting", "", "starting"), ("Running", "RUNNING", "running"),
        ("Complete", "SUCCEEDED", "finished"), ("Complete", "STOPPED", "stopped"),
        ("Complete", "FAILED", "failed"), ("Failed", "FAILED", "failed"), ("Failed", "", "failed"),
        ("ValidationFailed", "", "failed"), ("Retrying", "", "retrying"),
        ("Suspending", "", "queued"), ("Suspended", "", "queued"),
        ("SomethingNewer", "", "starting"),
    ],
)  # fmt: skip
def test_states(deployment: str | None, job: str | None, state: str) -> None:
    run: dict[str, Any] = ray_job()
    if deployment is not None:
        run["status"] = {"jobDeploymentStatus": deployment, "jobStatus": job}
    assert state_of(run) == state


def test_a_run_that_kueue_holds_back_is_queued_before_kuberay_says_so() -> None:
    run = ray_job()
    run["spec"]["suspend"] = True
    assert state_of(run) == "queued"


def test_a_run_that_is_being_deleted_is_stopping() -> None:
    run = ray_job(deletionTimestamp="2026-11-24T12:00:00Z")
    run["status"] = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    assert state_of(run) == "stopping"
    run["status"] = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    assert state_of(run) == "finished"


def test_there_is_no_such_run(kube: Cluster) -> None:
    with pytest.raises(LaunchError, match="no run `tiny-0000` in namespace `research`") as caught:
        get_run(kube, "tiny-0000")
    assert "`pricon list` shows all" in str(caught.value.hint)


def test_the_newest_run_is_listed_first(kube: Cluster, operator: Operator) -> None:
    for name, time in (("a", "12:00"), ("c", "14:00"), ("b", "13:00")):
        operator.add(ray_job(name=name, creationTimestamp=f"2026-11-24T{time}:00Z"))
    operator.add(ray_job(name="not-ours", labels={}))
    assert [run["metadata"]["name"] for run in list_runs(kube)] == ["c", "b", "a"]


def test_where_a_run_writes() -> None:
    assert output_of(ray_job()) == OUTPUT
    assert output_of(ray_job(annotations=None)) is None


def test_the_log_of_the_newest_driver(kube: Cluster, operator: Operator) -> None:
    run = operator.add(ray_job())
    assert [*log_lines(kube, run)] == []
    operator.start()
    operator.say(plan(), trial("a", "e2e", 0))
    operator.start()
    operator.say(plan(), "ordinary", trial("b", "pricon", 1), end())
    account = read_log(kube, run)
    assert [*account.trials] == ["b"]
    assert account.end is not None
    assert [*log_lines(kube, run)][1] == "ordinary"
    younger = run["metadata"] | {"creationTimestamp": "2026-11-24T13:00:00Z"}
    assert [*log_lines(kube, run | {"metadata": younger})] == [], "pods of a run before it"
