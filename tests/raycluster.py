"""A real Ray cluster on loopback as KubeRay builds one: a head without work, and a worker node."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.ports import free_ports
from tests.safeguards.sources import ROOT

TOKEN = "a-token-of-the-tests-and-of-nothing-else"
_RAY = Path(sys.executable).with_name("ray")
_START_S = 120
_MEMORY = str(100 * 2**20)

Node = subprocess.Popen[bytes]


@dataclass(slots=True, kw_only=True)
class RayCluster:
    """Addresses, and the environment of a process that belongs to the cluster."""

    gcs: str
    client: str
    dashboard: str
    metrics: str
    environment: Mapping[str, str]
    folder: Path
    log: IO[bytes]
    worker_agent_port: int
    worker: Node | None = None

    def start_worker(self) -> None:
        """Add the worker node; returns when it has joined."""
        assert self.worker is None, "there is one already"
        options = [
            *(f"--address={self.gcs}", "--num-cpus=2", f"--object-store-memory={_MEMORY}"),
            f"--dashboard-agent-listen-port={self.worker_agent_port}",
        ]
        self.worker = _start([*options, "--block"], self.environment, self.log)
        _wait(lambda: "CPU" in _status(self.environment), self.worker, self.folder)

    def kill_worker(self) -> None:
        """As a spot instance goes: without a goodbye."""
        assert self.worker is not None
        end_node(self.worker)
        self.worker = None


@contextmanager
def ray_cluster(folder: Path, extra: Mapping[str, str] | None = None) -> Iterator[RayCluster]:
    """A cluster that asks for a token; `extra` goes into the environment of its processes."""
    port, dashboard, client, agent, worker_agent, metrics = free_ports(6)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTEST"))}
    address = f"127.0.0.1:{port}"
    environment = {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_ADDRESS": address,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",  # of nothing, it would tell
        "RAY_metrics_report_interval_ms": "1000",
        # On a busy machine one in five servers for Ray's client dies as it is forked, by what gRPC
        # does for forks. Clusters of others are asked again; here it would only cost time.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        **(extra or {}),
    }
    head = [
        *("--head", "--num-cpus=0", f"--port={port}", f"--ray-client-server-port={client}"),
        *("--include-dashboard=true", f"--dashboard-port={dashboard}", "--disable-usage-stats"),
        *(f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"),
        *(f"--temp-dir={folder}", f"--object-store-memory={_MEMORY}", "--block"),
    ]
    with (folder / "nodes.log").open("wb") as log:
        node = _start([*head, "--node-ip-address=127.0.0.1"], environment, log)
        url = f"http://127.0.0.1:{dashboard}"
        cluster = RayCluster(
            gcs=address,
            client=f"ray://127.0.0.1:{client}",
            dashboard=url,
            metrics=f"http://127.0.0.1:{metrics}/metrics",
            environment=environment,
            folder=folder,
            log=log,
            worker_agent_port=worker_agent,
        )
        try:
            _wait(lambda: _answers(f"{url}/api/version"), node, folder)
            cluster.start_worker()
            yield cluster
        finally:
            if cluster.worker is not None:
                cluster.kill_worker()
            end_node(node)


def _start(arguments: list[str], environment: Mapping[str, str], log: IO[bytes]) -> Node:
    command = [str(_RAY), "start", *arguments]
    return subprocess.Popen(command, env=dict(environment), stdout=log, stderr=log)


def _wait(is_there: Callable[[], bool], node: Node, folder: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and node.poll() is None:
        if is_there():
            return
        time.sleep(0.3)
    raise AssertionError((folder / "nodes.log").read_text(errors="replace")[-3000:])


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _status(environment: Mapping[str, str]) -> str:
    command = [str(_RAY), "status"]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    return done.stdout


def end_node(node: Node) -> None:
    """Kill a node and what it has started; a polite end takes longer than a test."""
    for process in [*_children(node.pid), node.pid]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    node.wait()


def _children(process: int) -> list[int]:
    """All processes that one has started, and those that they have."""
    with suppress(FileNotFoundError):
        own = [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]
        return [*own, *(grandchild for child in own for grandchild in _children(child))]
    return []
