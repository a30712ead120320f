"""A real MLflow server, on loopback or in a pod, that can be killed and started again."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.pod_network import Place
from tests.ports import free_port

POD_PORT = 5000
"""Where the chart's own has it."""
START_TIMEOUT_S = 90


class MlflowServer:
    """`mlflow server` with its database in a folder; the same port over all its lives."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        place: Place | None = None,
    ) -> None:
        self.folder = folder
        self._options = options
        self._environment = environment or {}
        self._place = place
        self._address = place.address if place else "127.0.0.1"
        self.port = POD_PORT if place else free_port()
        self.uri = f"http://{self._address}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def with_passwords(
        cls, folder: Path, admin_password: str, *options: str, place: Place | None = None
    ) -> "MlflowServer":
        """One that asks for user names and passwords; `admin` may do everything, others read."""
        (folder / "auth.ini").write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
            "admin_username = admin\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        secrets = {
            "MLFLOW_AUTH_ADMIN_PASSWORD": admin_password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-in-this-test",
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        }
        asking = ("--app-name", "basic-auth", *options)
        return cls(folder, *asking, environment=secrets, place=place)

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", self._address, "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
            *self._options,
        ]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._place.command(*command) if self._place else command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **quiet, **self._environment},
            )
        self._wait()

    def kill(self) -> None:
        """As a lost node would end it: no goodbye."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.kill()

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except urllib.error.HTTPError:
                return  # it answers, if only to refuse
            except OSError:
                time.sleep(0.2)
        raise AssertionError((self.folder / "server.log").read_text())
