"""The tracking server on a real PostgreSQL, from the secret that the chart names."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from pricon.spec.resources import StorageSpec
from tests.helm.render import CHART, KubernetesObject, containers, pods
from tests.helm.test_tracking import SECRETS, prepare, rehearsed, secret
from tests.postgres import PASSWORD, USER, postgres
from tests.seaweed import BUCKET
from tests.track.servers import MlflowServer

pytestmark = [
    pytest.mark.s3,
    pytest.mark.tracking,
    pytest.mark.skipif(find_spec("pgserver") is None, reason="no PostgreSQL for this Python"),
]


def uri(port: int, database: str) -> str:
    return f"postgresql://{USER}:{quote(PASSWORD)}@127.0.0.1:{port}/{database}"


def test_runs_and_accounts_are_in_postgresql(
    charts: dict[str, list[KubernetesObject]],
    s3: StorageSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = dict(pods(charts["tracking-postgres"]))
    pod = objects["Deployment/pricon-tracking"]
    with postgres("runs", "accounts") as port:
        for key, database in (("uri", "runs"), ("auth-uri", "accounts")):
            name = f"secret:pricon-tracking-database/{key}"
            monkeypatch.setitem(SECRETS, name, uri(port, database))
        prepare(pod, tmp_path)
        password = "secret:pricon-tracking-run/MLFLOW_TRACKING_PASSWORD"
        monkeypatch.setitem(SECRETS, password, "changed, and the pod restarted")
        prepare(pod, tmp_path)
        server = served(pod, s3, tmp_path)
        try:
            check(objects["Pod/pricon-test-tracking"], server, tmp_path)
        finally:
            server.stop()
        with psycopg.connect(uri(port, "runs")) as runs:
            assert runs.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        with psycopg.connect(uri(port, "accounts")) as accounts:
            names = {name for (name,) in accounts.execute("SELECT username FROM users")}
        assert names == {"admin", secret("pricon-tracking-run/MLFLOW_TRACKING_USERNAME")}
    assert not [*tmp_path.rglob("*.db")]


def served(pod: KubernetesObject, s3: StorageSpec, folder: Path) -> MlflowServer:
    container = containers(pod)[1]
    environment = rehearsed(container, folder)
    kept = [
        argument.replace("s3://pricon/", f"s3://{BUCKET}/helm-")
        for argument in container["args"]
        if not argument.startswith(("--host", "--port", "--workers"))
    ]
    store = {"MLFLOW_S3_ENDPOINT_URL": str(s3.endpoint_url), "AWS_DEFAULT_REGION": "us-east-1"}
    place = f"--backend-store-uri={environment['MLFLOW_BACKEND_STORE_URI']}"
    server = MlflowServer(folder, *kept, place, environment=store | environment)
    server.start()
    return server


def check(pod: KubernetesObject, server: MlflowServer, folder: Path) -> None:
    """What `helm test` does: a run, a metric and an artifact."""
    variables = rehearsed(pod["spec"]["containers"][0], folder)
    done = subprocess.run(
        [sys.executable, str(CHART / "files" / "check_tracking.py")],
        env={"PATH": os.environ["PATH"]} | variables | {"MLFLOW_TRACKING_URI": server.uri},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
