"""A namespace as the chart makes it, and the pods of a run in it, started as KubeRay does.

Head, workers and submitter have what their pods would have: the environment that was rendered, a
read-only root, no home, no root user, a service account, an address of their own, and the network
policies of the chart. The object store and the tracking server are real and ask for credentials.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pricon.launch.kubernetes.rayjob import RenderedRun, render
from pricon.launch.submission import Submission
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile
from pricon.spec.resources import StorageSpec
from tests.helm.network import role
from tests.helm.render import KubernetesObject, profile_of
from tests.pod import pod_command
from tests.pod_network import Place, pod_network
from tests.raycluster import end_node
from tests.seaweed import ACCESS_KEY, SECRET_KEY, seaweed
from tests.tiny import tiny_document
from tests.track.servers import MlflowServer

PASSWORD = "long-enough-for-mlflow"
SECRETS = {
    "pricon-storage/AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "pricon-storage/AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "pricon-tracking-run/MLFLOW_TRACKING_USERNAME": "admin",
    "pricon-tracking-run/MLFLOW_TRACKING_PASSWORD": PASSWORD,
}
AUTH = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "as-the-operator-gives-it-to-every-pod"}
WORKERS = ("worker-1", "worker-2")
_PEERS = {
    "head": role("head"),
    **{name: role("worker") for name in WORKERS},
    "submitter": role("submitter"),
    "tracking": role("tracking"),
    "object-store": role("object-store"),
}
_SERVICES = {
    "pricon-tracking.affect.svc": "tracking",
    "pricon-object-store.affect.svc": "object-store",
}
_GCS, _DASHBOARD = 6379, 8265
_START_S = 120

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """What is there before a run.

    Args:
        places: of all pods.
        profile: as the chart writes it.
        storage: as this machine, the node, reaches it.
        tracking: the server; this machine reaches it at its `uri`.
    """

    places: Mapping[str, Place]
    profile: ClusterProfile
    storage: StorageSpec
    tracking: MlflowServer


@contextmanager
def premises(chart: list[KubernetesObject], folder: Path) -> Iterator[Premises]:
    """The namespace with an object store and a tracking server, and nothing in them.

    Args:
        chart: rendered with the store of its own.
        folder: of the servers.
    """
    with (
        pod_network(chart, _PEERS, _SERVICES) as places,
        seaweed(folder, places["object-store"]) as storage,
    ):
        tracking = MlflowServer.with_passwords(
            folder, PASSWORD, "--allowed-hosts", "*", place=places["tracking"]
        )
        tracking.start()
        try:
            yield Premises(
                places=places, profile=profile_of(chart), storage=storage, tracking=tracking
            )
        finally:
            tracking.stop()


def rendered(premises: Premises, folder: Path, **changes: Any) -> RenderedRun:
    """The tiny job, rendered for these premises: one lane, whose two workers have a pod each."""
    resources = {"lanes": 1, "workers_per_lane": 2, "cpus_per_worker": 2}
    document = tiny_document(folder, resources=resources, target="kubernetes", **changes)
    document["arms"] = ["majority", "e2e", "lupi", "pricon"]
    del document["output"], document["corpus"]["uri"]
    return render(JobSpec.model_validate(document), premises.profile, Submission(id="first"))


class Pods:
    """The pods of a run.

    Args:
        run: what was rendered.
        places: of head, workers and submitter.
        log: what head and workers say goes there.
    """

    def __init__(self, run: RenderedRun, places: Mapping[str, Place], log: IO[bytes]) -> None:
        self.log = log
        self._places = places
        self._files = {name: text.encode() for name, text in run.config_map["data"].items()}
        self._spec = run.ray_job["spec"]
        self._dashboard = f"http://{places['head'].address}:{_DASHBOARD}"

    @contextmanager
    def started(self) -> Iterator[None]:
        """The Ray cluster, until it is left."""
        nodes: list[Process] = []
        try:
            nodes.append(self._start_head())
            self._await_dashboard()
            nodes.extend(self._start_worker(name) for name in WORKERS)
            yield
        finally:
            for node in reversed(nodes):
                end_node(node)
            for name in ("head", *WORKERS):
                self._places[name].end()  # the next run has the same ports

    def submit(self) -> "subprocess.CompletedProcess[str]":
        """The submitter's pod: starts the driver and shows its log to the end."""
        address = f"--address http://head:{_DASHBOARD}"
        script = (
            f"until ray job list {address} > /dev/null 2>&1; do sleep 1; done; "
            f"ray job submit {address} --no-wait --submission-id tiny -- {self._spec['entrypoint']}"
            f" && ray job logs {address} --follow tiny"
        )
        environment = _environment(self._spec["submitterPodTemplate"])
        command, outside = pod_command(["bash", "-c", script], environment, {})
        return subprocess.run(
            self._places["submitter"].command(*command),
            env=outside,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def status(self) -> str:
        """Of the Ray job, as the operator asks for it."""
        return str(self._ask("GET", "/api/jobs/tiny")["status"])

    def stop(self) -> None:
        """End the Ray job, as the operator does before it deletes a run."""
        assert self._ask("POST", "/api/jobs/tiny/stop")["stopped"]

    def _start_head(self) -> Process:
        group = self._spec["rayClusterSpec"]["headGroupSpec"]
        options = {"port": _GCS, "dashboard-host": "0.0.0.0"}
        return self._start("head", group, {**options, "head": None}, self._files)

    def _start_worker(self, name: str) -> Process:
        (group,) = self._spec["rayClusterSpec"]["workerGroupSpecs"]
        cpus = group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
        return self._start(name, group, {"address": f"head:{_GCS}", "num-cpus": cpus}, {})

    def _start(
        self, name: str, group: Mapping[str, Any], more: Mapping[str, Any], files: Any
    ) -> Process:
        operators = {"metrics-export-port": 8080, "dashboard-agent-listen-port": 52365}
        parameters = {**operators, **more, **group["rayStartParams"]}
        options = [
            f"--{key}" if value is None else f"--{key}={value}" for key, value in parameters.items()
        ]
        start = ["ray", "start", "--block", *options]
        command, outside = pod_command(start, _environment(group["template"]), files)
        place = self._places[name]
        return subprocess.Popen(
            place.command(*command), env=outside, stdout=self.log, stderr=self.log
        )

    def _await_dashboard(self) -> None:
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            try:
                self._ask("GET", "/api/version")
            except OSError:
                time.sleep(0.3)
            else:
                return
        raise AssertionError("the head's dashboard does not answer")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        token = {"Authorization": f"Bearer {AUTH['RAY_AUTH_TOKEN']}"}
        request = urllib.request.Request(f"{self._dashboard}{path}", headers=token, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def _environment(template: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a pod's container, secrets looked up as the kubelet does."""
    found = dict(AUTH)
    for entry in template["spec"]["containers"][0]["env"]:
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        else:
            ref = entry["valueFrom"]["secretKeyRef"]
            found[entry["name"]] = SECRETS[f"{ref['name']}/{ref['key']}"]
    return found
