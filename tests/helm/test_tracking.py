"""The tracking server as the chart starts it: its own arguments, on loopback, against a real S3."""

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests
from werkzeug.security import generate_password_hash

from pricon.spec.resources import StorageSpec
from pricon.track.client import open_client
from pricon.track.kept import kept_log
from pricon.track.records import path_of, tag_of
from tests.helm.render import CHART, KubernetesObject, containers, environment, pods
from tests.nobody import as_nobody
from tests.pod import needs_pods, pod_command
from tests.ports import free_port
from tests.seaweed import BUCKET
from tests.track.servers import MlflowServer

SECRETS = {
    "secret:pricon-tracking/admin-password": "correct horse battery",
    "secret:pricon-tracking/flask-secret-key": "staple",
    "secret:pricon-tracking-run/MLFLOW_TRACKING_USERNAME": "runs",
    "secret:pricon-tracking-run/MLFLOW_TRACKING_PASSWORD": "a password % of runs",
}
PLACES = {"/var/lib/mlflow": "data", "/run/mlflow": "config", "/tmp": "tmp"}
INSIDE = "|".join(PLACES)


def secret(key: str) -> str:
    """The value of `<secret>/<key>`."""
    return SECRETS[f"secret:{key}"]


def rehearsed(container: KubernetesObject, folder: Path) -> dict[str, str]:
    """Environment of a container, its secrets read and its volumes below `folder`."""
    variables = {name: SECRETS.get(value, value) for name, value in environment(container).items()}
    for outside in PLACES.values():
        (folder / outside).mkdir(exist_ok=True)
    return {
        name: re.sub(INSIDE, lambda found: str(folder / PLACES[found[0]]), value)
        for name, value in variables.items()
    }


def prepare(pod: KubernetesObject, folder: Path) -> None:
    """What the first container does."""
    script = CHART / "files" / "prepare_tracking.py"
    subprocess.run(
        [sys.executable, str(script)],
        env={"PATH": os.environ["PATH"]} | rehearsed(containers(pod)[0], folder),
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def pod(charts: dict[str, list[KubernetesObject]]) -> KubernetesObject:
    return dict(pods(charts["default"]))["Deployment/pricon-tracking"]


@pytest.fixture(scope="module")
def server(
    pod: KubernetesObject, tmp_path_factory: pytest.TempPathFactory, s3: StorageSpec
) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("tracking")
    prepare(pod, folder)
    container = containers(pod)[1]
    kept = [
        argument.replace("s3://pricon/", f"s3://{BUCKET}/helm-")
        for argument in container["args"]
        if not argument.startswith(("--host", "--port", "--workers"))
    ]
    store = {"MLFLOW_S3_ENDPOINT_URL": str(s3.endpoint_url), "AWS_DEFAULT_REGION": "us-east-1"}
    started = MlflowServer(folder, *kept, environment=store | rehearsed(container, folder))
    started.start()
    yield started
    started.stop()


pytestmark = [pytest.mark.s3, pytest.mark.tracking]


def test_the_kubelet_asks_by_the_pod_s_address_and_without_a_password(
    server: MlflowServer, pod: KubernetesObject
) -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = containers(pod)[1][probe]["httpGet"]["path"]
        answer = requests.get(f"{server.uri}{path}", headers={"Host": "10.1.2.3:5000"}, timeout=10)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("pricon-tracking.affect.svc:5000", 200),
        ("pricon-tracking.affect.svc.cluster.local:5000", 200),
        ("pricon-tracking:5000", 200),
        ("localhost:5001", 200),
        ("evil.example.org", 403),
        ("pricon-tracking.affect.svc.evil.example.org:5000", 403),
    ],
)
def test_names_of_the_server(server: MlflowServer, host: str, status: int) -> None:
    answer = requests.get(
        f"{server.uri}/api/2.0/mlflow/experiments/get",
        params={"experiment_id": "0"},
        headers={"Host": host},
        auth=("runs", secret("pricon-tracking-run/MLFLOW_TRACKING_PASSWORD")),
        timeout=10,
    )
    assert answer.status_code == status, answer.text


def test_helm_test_finds_nothing_wrong(
    server: MlflowServer, charts: dict[str, list[KubernetesObject]], tmp_path: Path
) -> None:
    """The script of `helm test`, with its pod's environment: no keys of the bucket."""
    container = dict(pods(charts["default"]))["Pod/pricon-test-tracking"]["spec"]["containers"][0]
    variables = rehearsed(container, tmp_path) | {"MLFLOW_TRACKING_URI": server.uri}
    assert not {name for name in variables if name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(CHART / "files" / "check_tracking.py")],
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{server.uri}: a run, a metric and an artifact were recorded and deleted",
        f"{server.uri}: nothing without a password",
    ]


def test_the_log_of_a_run_is_read_through_the_server(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client would rather go to the object store, which no laptop may reach."""
    password = secret("pricon-tracking-run/MLFLOW_TRACKING_PASSWORD")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "runs")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    client = open_client(server.uri)
    experiment = client.create_experiment("again")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "what it said\n", path_of("first.0"))
    client.set_tag(run, tag_of("again-1"), "first.0")
    assert kept_log(server.uri, "again-1") == ["what it said"]
    asked = (server.folder / "server.log").read_text(encoding="utf-8")
    assert f"mlflow-artifacts/artifacts/{experiment}/{run}" in asked
    assert f"/presigned/{experiment}/{run}" not in asked


def test_runs_are_no_administrators(server: MlflowServer) -> None:
    def make_user(name: str, password: str) -> int:
        return requests.post(
            f"{server.uri}/api/2.0/mlflow/users/create",
            json={"username": "somebody", "password": "a long password"},
            auth=(name, password),
            timeout=10,
        ).status_code

    run_password = secret("pricon-tracking-run/MLFLOW_TRACKING_PASSWORD")
    assert make_user("runs", run_password) == 403
    assert make_user("admin", "wrong") == 401
    assert make_user("admin", secret("pricon-tracking/admin-password")) == 200


def status(server: MlflowServer, user: str, password: str) -> int:
    """Of a request that this user may make."""
    url = f"{server.uri}/api/2.0/mlflow/users/get"
    who = {"username": user}
    return requests.get(url, params=who, auth=(user, password), timeout=10).status_code


def test_a_password_that_was_right_is_not_hashed_again_for_a_while(server: MlflowServer) -> None:
    admin = ("admin", secret("pricon-tracking/admin-password"))
    users = f"{server.uri}/api/2.0/mlflow/users"
    account = {"username": "ada", "password": "the first of ada"}
    requests.post(f"{users}/create", json=account, auth=admin, timeout=10).raise_for_status()
    assert status(server, "ada", "the first of ada") == 200
    spoil = "update users set password_hash = ? where username = 'ada'"
    with closing(sqlite3.connect(server.folder / "data" / "auth.db")) as accounts, accounts:
        assert accounts.execute(spoil, [generate_password_hash("something else")]).rowcount == 1
    assert status(server, "ada", "the first of ada") == 200, "it was hashed"
    assert status(server, "ada", "another") == 401
    account["password"] = "the second of ada"
    changed = requests.patch(f"{users}/update-password", json=account, auth=admin, timeout=10)
    changed.raise_for_status()
    assert status(server, "ada", "the first of ada") == 401, "what was changed is forgotten at once"
    assert status(server, "ada", "the second of ada") == 200


def test_a_changed_secret_is_a_changed_password(
    server: MlflowServer, pod: KubernetesObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = secret("pricon-tracking/admin-password")
    assert status(server, "admin", old) == 200
    monkeypatch.setitem(SECRETS, "secret:pricon-tracking/admin-password", "another long one")
    server.stop()  # as a pod that is restarted
    prepare(pod, server.folder)
    server.start()
    assert status(server, "admin", old) == 401
    assert status(server, "admin", "another long one") == 200


def test_only_the_server_may_read_its_configuration(server: MlflowServer) -> None:
    config = server.folder / "config" / "auth.ini"
    assert config.stat().st_mode & 0o077 == 0
    assert "password" not in config.read_text(encoding="utf-8")
    assert "PermissionError" in as_nobody(config.read_text)


@needs_pods
def test_a_container_without_root_and_with_a_read_only_root_is_enough(
    pod: KubernetesObject, tmp_path: Path
) -> None:
    """Both containers as they are started, one after the other; volumes lie below /tmp."""
    first, second = containers(pod)
    port = free_port()
    arguments = [f"--port={port}" if a == "--port=5000" else a for a in second["args"]]
    script = "\n".join(
        (
            *("set -e", "mkdir /tmp/data /tmp/config"),
            shlex.join(["env", "-u", "MLFLOW_AUTH_CONFIG_PATH", *first["command"], *first["args"]]),
            f"exec {shlex.join([*second['command'], *arguments])}",
        )
    )
    variables = rehearsed(first, tmp_path) | rehearsed(second, tmp_path)
    inside = {name: value.replace(str(tmp_path), "/tmp") for name, value in variables.items()}
    inside["HOME"] = "/tmp"
    command, outside = pod_command(["bash", "-c", script], inside, {})
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            command, env=outside, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            answer = wait_for(f"http://127.0.0.1:{port}/health", server)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
    assert answer == 200, (tmp_path / "log").read_text(encoding="utf-8")


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> int | None:
    """Status of the first answer; None where the server ends before it, or takes too long."""
    end = time.monotonic() + 90
    while time.monotonic() < end and server.poll() is None:
        with suppress(requests.ConnectionError):
            return requests.get(url, timeout=5).status_code
        time.sleep(0.2)
    return None
