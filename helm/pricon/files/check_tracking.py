"""`helm test`: the user of the runs may record, and artifacts go through the server."""

import os
import socket
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def main() -> None:
    client = MlflowClient()
    name = f"helm-test-{socket.gethostname()}-{os.getpid()}"
    experiment = client.create_experiment(name)
    try:
        run = client.create_run(experiment).info
        client.log_metric(run.run_id, "metric", 1.0)
        assert run.artifact_uri.startswith("mlflow-artifacts:"), run.artifact_uri
        with tempfile.TemporaryDirectory() as folder:
            sent = Path(folder, "artifact.txt")
            sent.write_text("written by helm test", encoding="utf-8")
            client.log_artifact(run.run_id, str(sent))
            back = client.download_artifacts(run.run_id, "artifact.txt", folder)
            assert Path(back).read_text(encoding="utf-8") == "written by helm test"
        client.set_terminated(run.run_id)
    finally:
        client.delete_experiment(experiment)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    print(f"{uri}: a run, a metric and an artifact were recorded and deleted")
    if "MLFLOW_TRACKING_PASSWORD" in os.environ:
        check_password_is_needed()
        print(f"{uri}: nothing without a password")


def check_password_is_needed() -> None:
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        del os.environ[variable]
    try:
        MlflowClient().search_experiments()
    except MlflowException as err:
        status = err.get_http_status_code()
    else:
        status = 200
    assert status == 401, f"the server answers {status} without a password"


if __name__ == "__main__":
    main()
