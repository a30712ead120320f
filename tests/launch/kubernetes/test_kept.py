"""What a run said, when its pods are gone: from a real S3 server, by the user's own keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.launch.kubernetes.sending import submit_run
from pricon.spec.dump import dump_job
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from tests.cli.test_runs import pricon
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import (
    FOLDER,
    HANDLE,
    Operator,
    Rendered,
    end,
    plan,
    report,
)
from tests.tiny import tiny_job

REPORT = report()


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as server:
        submit_run(connect(tmp_path, server.url), Rendered())
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


@pytest.fixture
def forgotten(api: ApiServer, s3: StorageSpec, s3_uri: str, tmp_path: Path) -> None:
    """A run that finished, and whose pods are gone; its driver kept its log in a bucket."""
    annotations = {"pricon.dev/output": f"{s3_uri}/tiny", "pricon.dev/submission": "s1"}
    metadata = api.store.get("rayjobs", HANDLE)["metadata"] | {"annotations": annotations}
    api.store.update("rayjobs", HANDLE, metadata=metadata)
    job = dump_job(tiny_job(tmp_path, storage=s3.model_dump()))
    api.store.update("configmaps", HANDLE, data={"job.yaml": job})
    Operator(api.store).status(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    folder = open_storage(f"{s3_uri}/tiny/submissions", s3)
    folder.write("s1.9.log", b"an attempt before\n")
    folder.write("s1.10.log", "\n".join(["ordinary", plan(), REPORT, end(), ""]).encode())


@pytest.mark.s3
def test_what_a_run_said_outlives_its_pods(
    forgotten: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "ordinary"
    assert "plan: 6 trials" in shown.out
    assert shown.err == "its log is gone from the cluster; this is what its driver kept\n"
    assert pricon("results", HANDLE) == 0
    assert f"report   {FOLDER}/report.html" in capsys.readouterr().out


@pytest.mark.s3
def test_a_kept_log_needs_keys_to_its_bucket(
    forgotten: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "the log that the run kept cannot be read from here: " in shown.err
    assert f"run {HANDLE} has no log; it is finished" in shown.err
