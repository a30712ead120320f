"""What KubeRay, kubelets and schedulers do to a run, by hand: states, pods, lines of the driver."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pricon.launch.bulletins import (
    Cause,
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    TrialBulletin,
    UsageBulletin,
    write,
)
from pricon.launch.kubernetes.podlog import SUBMITTER, SUBMITTER_LABEL
from tests.launch.kubernetes.apistore import KINDS, Object, PodOutput, Store

HANDLE = "tiny-0123abcd"
OUTPUT = "s3://pricon/runs/tiny"
FOLDER = f"{OUTPUT}/0123abcd"
IMAGE = "registry.example/pricon:0.1.0"
LABELS = {
    "app.kubernetes.io/name": "pricon",
    "app.kubernetes.io/component": "run",
    "app.kubernetes.io/managed-by": "pricon-submit",
    "pricon.dev/run": HANDLE,
    "pricon.dev/job": "tiny",
}


def ray_job(**metadata: Any) -> Object:
    """A RayJob without a status."""
    template = {"spec": {"containers": [{"name": "ray-head", "image": IMAGE}]}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": HANDLE,
            "labels": dict(LABELS),
            "annotations": {"pricon.dev/output": OUTPUT},
            **metadata,
        },
        "spec": {
            "entrypoint": "pricon drive",
            "shutdownAfterJobFinishes": True,
            "rayClusterSpec": {"headGroupSpec": {"rayStartParams": {}, "template": template}},
        },
    }


def config_map() -> Object:
    """The ConfigMap of a run."""
    data = {"job.yaml": "name: tiny\n", "submission.json": "{}\n"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": HANDLE, "labels": dict(LABELS)},
        "data": data,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A run as it is sent: the least that KubeRay takes."""

    ray_job: Object = field(default_factory=ray_job)
    config_map: Object = field(default_factory=config_map)


def pod(name: str, role: str, status: Object | None = None, labels: Object | None = None) -> Object:
    """A pod of the run."""
    container = SUBMITTER if role == "submitter" else f"ray-{role}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {**LABELS, "pricon.dev/role": role, **(labels or {})}},
        "spec": {
            "containers": [
                {
                    "name": container,
                    "image": IMAGE,
                    "resources": {
                        "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
                        "limits": {"memory": "16Gi"},
                    },
                }
            ]
        },
        "status": status or {"phase": "Pending"},
    }


def event(kind: str, name: str, reason: str, message: str, time: str = "12:00:00") -> Object:
    """An event about an object."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{abs(hash((reason, message, time))):x}"},
        "involvedObject": {"kind": kind, "name": name},
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-11-24T{time}Z",
    }


def running(container: str, **more: Any) -> Object:
    """Status of a pod whose container runs."""
    state = {"name": container, "image": IMAGE, "state": {"running": {}}, **more}
    return {"phase": "Running", "containerStatuses": [state]}


def plan() -> str:
    """A driver's first bulletin."""
    trials = {"e2e": {0: 1, 1: 1}, "pricon": {0: 2, 1: 2}}
    return write(
        PlanBulletin(
            run_id="0123abcd", job="tiny", arms=("e2e", "pricon"), folds=(0, 1), trials=trials,
            generated=True, output=FOLDER, stages=4,
        )
    )  # fmt: skip


def trial(name: str, arm: str, fold: int, error: str | None = None) -> str:
    """A driver says what became of a trial."""
    status: Literal["finished", "failed"] = "failed" if error else "finished"
    where = {"arm": arm, "stimulus": "heist", "fold": fold, "seed": 0}
    return write(TrialBulletin(id=name, **where, status=status, error=error))


def training(lane: int, **trials: dict[int, int]) -> str:
    """A driver says what a lane trains: arm -> fold -> trials."""
    return write(TrainingBulletin(lane=lane, trials=trials))


def progress(text: str) -> str:
    """A driver says how far it is."""
    return write(ProgressBulletin(text=text))


def used(pod_hours: float, *, is_last: bool = False, **cells: dict[int, float]) -> str:
    """A driver says what the run took so far, on pods with a GPU each, and what its cells did."""
    return write(
        UsageBulletin(
            pod_hours=pod_hours,
            gpu_hours=pod_hours,
            cost=1.5 * pod_hours,
            currency="EUR",
            cells=cells,
            is_last=is_last,
        )
    )


def report(text: str = "pricon 0.61  e2e 0.58", *, complete: bool = True) -> str:
    """A driver says what it found."""
    return write(ReportBulletin(text=text, complete=complete, uri=f"{FOLDER}/report.html"))


def end(exit_code: int = 0, cause: Cause = "done", message: str | None = None) -> str:
    """A driver's last bulletin."""
    hint = "mend it" if message else None
    return write(EndBulletin(exit_code=exit_code, cause=cause, message=message, hint=hint))


@dataclass(slots=True)
class Operator:
    """Walks a run through its states. `clock` numbers the lines: several share a second."""

    store: Store
    handle: str = HANDLE
    clock: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    attempt: int = 0
    lines_a_second: int = 3

    def status(self, **status: Any) -> None:
        """KubeRay writes a status."""
        before = self.store.get("rayjobs", self.handle).get("status") or {}
        self.store.update("rayjobs", self.handle, status={**before, **status})

    def add(self, body: Object) -> Object:
        """Something else creates an object."""
        plurals = {kind: plural for plural, (_, kind) in KINDS.items()}
        return self.store.create(plurals[body["kind"]], body, dry_run=False, strict=False)

    @property
    def submitter(self) -> str:
        """Name of the submitter pod of this attempt."""
        return f"{self.handle}-sub{self.attempt}"

    def start(self) -> None:
        """Head, submitter pod and driver run."""
        self.attempt += 1
        self.status(jobDeploymentStatus="Initializing")
        mine = {"pricon.dev/run": self.handle}
        head = f"{self.handle}-head{self.attempt}"
        self.add(pod(head, "head", running("ray-head"), mine))
        self.store.outputs[head] = PodOutput()
        made = pod(
            self.submitter, "submitter", running(SUBMITTER), {SUBMITTER_LABEL: self.handle, **mine}
        )
        made["metadata"]["creationTimestamp"] = f"2026-11-24T12:00:{self.attempt:02d}Z"
        self.store.outputs[self.submitter] = PodOutput()
        self.add(made)
        self.status(jobDeploymentStatus="Running", jobStatus="RUNNING")

    def say(self, *lines: str) -> None:
        """The driver prints lines."""
        for line in lines:
            tick = next(self.clock)
            second, part = divmod(tick, self.lines_a_second)
            self.store.print(self.submitter, f"2026-11-24T12:00:{second:02d}.{part:09d}Z", line)

    def finish(self, job: str = "SUCCEEDED", deployment: str = "Complete", **status: Any) -> None:
        """The driver has ended; KubeRay removes the Ray cluster and keeps the submitter's pod."""
        with self.store.changed:
            self.store.outputs[self.submitter].has_ended = True
            ended = {"name": SUBMITTER, "image": IMAGE, "state": {"terminated": {"exitCode": 0}}}
            body = {"phase": "Succeeded", "containerStatuses": [ended]}
            self.store.update("pods", self.submitter, status=body)
        self.store.delete("pods", f"{self.handle}-head{self.attempt}")
        time = "2026-11-24T12:30:00Z"
        self.status(jobDeploymentStatus=deployment, jobStatus=job, endTime=time, **status)

    def retry(self) -> None:
        """The Ray cluster was lost: everything of this attempt goes, a new one begins."""
        self.status(jobDeploymentStatus="Retrying", jobStatus="", failed=self.attempt)
        self.store.delete("pods", self.submitter)
        self.store.delete("pods", f"{self.handle}-head{self.attempt}")
        self.start()
