"""Where the words of a driver come from; `test_kept.py` has what outlives its pods."""

from pathlib import Path

import pytest

from pricon.errors import LaunchError, PriconError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.driver_log import DriverLog, driver_log
from pricon.launch.kubernetes.refusals import UnreadableLogError
from pricon.launch.kubernetes.sending import submit_run
from pricon.track.mlflow import MlflowRecorder
from pricon.track.records import LogRecord, RunRecord
from tests.launch.kubernetes.apifaults import SILENT_NODE, ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, Rendered


@pytest.fixture
def mlflow(tmp_path: Path) -> str:
    """Where a log of the run is kept."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, (tmp_path / "artifacts").as_uri())
    recorder.apply(RunRecord(job_name="tiny", run_id="run0"))
    recorder.apply(
        LogRecord(job_name="tiny", run_id="run0", handle=HANDLE, name="s1.0.log", text=b"kept\n")
    )
    return uri


def test_what_the_pods_have_comes_first(kube: Cluster, operator: Operator, mlflow: str) -> None:
    run = submit_run(kube, Rendered()).ray_job
    assert driver_log(kube, HANDLE, run, mlflow).lines == [], "it has not begun"
    operator.start()
    operator.say("from its pod")
    log = driver_log(kube, HANDLE, run, mlflow)
    assert (log.lines, log.origin, log.troubles) == (["from its pod"], None, [])


def test_a_silent_node_of_a_run_that_goes_on(
    kube: Cluster, operator: Operator, api: ApiServer, mlflow: str
) -> None:
    run = submit_run(kube, Rendered()).ray_job
    operator.start()
    api.fail("log", status=500, body=SILENT_NODE, times=9)
    with pytest.raises(UnreadableLogError):
        driver_log(kube, HANDLE, run, mlflow)


def test_a_silent_node_of_a_run_that_has_ended(
    kube: Cluster, operator: Operator, api: ApiServer, mlflow: str
) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.finish()
    api.fail("log", status=500, body=SILENT_NODE, times=9)
    log = driver_log(kube, HANDLE, api.store.get("rayjobs", HANDLE), mlflow)
    assert log.lines == ["kept"]
    assert log.origin is not None
    assert log.origin.startswith(
        "its log is gone from the cluster; this is what its driver kept in "
    )
    assert "cannot be read from its node" in log.troubles[0].message
    assert log.troubles[0].hint is None


def test_a_run_that_the_cluster_has_forgotten(kube: Cluster, mlflow: str) -> None:
    log = driver_log(kube, HANDLE, None, mlflow)
    assert log.lines == ["kept"]
    assert log.origin is not None
    assert log.origin.startswith(f"run {HANDLE} is forgotten by the cluster; this is what ")
    nowhere = driver_log(kube, HANDLE, None, None)
    assert (nowhere.lines, nowhere.origin) == ([], None)
    (trouble,) = nowhere.troubles
    assert trouble.message.startswith("a log that was kept cannot be read from here: no profile")
    assert str(trouble.hint).startswith("set MLFLOW_TRACKING_URI to where you reach it")


def test_how_it_was_found_is_told_in_one_way() -> None:
    troubles: list[PriconError] = [LaunchError("it is away", "wait"), LaunchError("it is gone")]
    log = DriverLog(origin="from elsewhere", troubles=troubles)
    assert [*log.notes] == ["it is away\n  hint: wait", "it is gone", "from elsewhere"]
    assert [*DriverLog().notes] == []
