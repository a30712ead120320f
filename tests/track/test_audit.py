"""What MLflow does not know as it should is found and named."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pricon.track.audit import audit
from pricon.track.mlflow import MlflowRecorder
from pricon.track.records import FinishRecord, trial_record
from tests.track.examples import make_results, make_run_record

JOB, RUN = "again-tiny", "run0"
TRIALS = {result.trial.id for result in make_results()}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that has its tables, and nothing in them."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return str(path)


@pytest.fixture
def uri(empty: str, tmp_path: Path) -> str:
    """A database in which a run and its trials have finished."""
    copy = tmp_path / "mlflow.db"
    copy.write_bytes(Path(empty).read_bytes())
    recorder = MlflowRecorder(f"sqlite:///{copy}", (tmp_path / "artifacts").as_uri())
    run = make_run_record(JOB, RUN)
    recorder.apply(run)
    for result in make_results():
        recorder.apply(trial_record(run, result, {}))
    recorder.apply(FinishRecord(job_name=JOB, run_id=RUN, status="FINISHED"))
    return f"sqlite:///{copy}"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


def found(uri: str) -> list[str]:
    return audit(uri, JOB, RUN, TRIALS)


def of_trial(client: MlflowClient, name: str) -> str:
    """The MLflow run of a trial."""
    (experiment,) = client.search_experiments(filter_string=f"name = '{JOB}'")
    condition = f"tags.`pricon.trial_id` = '{name}'"
    (run,) = client.search_runs([experiment.experiment_id], condition)
    return str(run.info.run_id)


def test_all_is_as_it_should_be(uri: str) -> None:
    assert found(uri) == []


def test_a_run_that_is_not_there(uri: str) -> None:
    assert audit(uri, JOB, "run1", TRIALS) == ["MLflow has 0 runs `again-tiny run1`, not one"]
    assert audit(uri, "other", RUN, TRIALS) == ["MLflow has 0 runs `other run0`, not one"]


def test_a_trial_that_is_gone_and_one_too_many(uri: str, client: MlflowClient) -> None:
    one, *others = sorted(TRIALS)
    client.delete_run(of_trial(client, one))
    assert found(uri) == [f"MLflow has no run of trials: {one}"]
    assert audit(uri, JOB, RUN, others[1:]) == [
        f"MLflow has trials that the job does not have: {others[0]}"
    ]


def test_a_trial_that_is_there_twice_or_has_not_ended(uri: str, client: MlflowClient) -> None:
    one, other, *_ = sorted(TRIALS)
    run = client.get_run(of_trial(client, one))
    client.create_run(run.info.experiment_id, tags=run.data.tags)
    client.update_run(of_trial(client, other), status="RUNNING")
    assert found(uri) == [
        f"MLflow has several runs of trials: {one}",
        f"MLflow has trials that it does not call FINISHED: {other}",
    ]


def test_a_run_that_has_failed_and_trials_without_number(uri: str, client: MlflowClient) -> None:
    parent = client.get_run(of_trial(client, min(TRIALS))).data.tags["mlflow.parentRunId"]
    client.update_run(parent, status="FAILED")
    many = {f"trial{number}" for number in range(7)} | TRIALS
    assert audit(uri, JOB, RUN, many) == [
        "MLflow calls the run FAILED",
        "MLflow has no run of trials: trial0, trial1, trial2, trial3, trial4 and 2 more",
    ]
