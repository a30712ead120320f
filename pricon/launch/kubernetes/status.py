"""The status of a run: its state, why it waits or ended, and its trials as a matrix arm x fold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pricon.launch.account import Account, Cell
from pricon.launch.bulletins import UsageBulletin
from pricon.launch.kubernetes.client import PODS, Cluster, Object
from pricon.launch.kubernetes.ending import Outcome, outcome_of, state_told, why_ended
from pricon.launch.kubernetes.following import events_of
from pricon.launch.kubernetes.pending import why_pending
from pricon.launch.kubernetes.pods import Reason, name_of, since
from pricon.launch.kubernetes.rayjob import JOB_LABEL, RUN_LABEL
from pricon.launch.kubernetes.runs import ENDED, State, get_run, output_of, read_log, state_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of a run.

    Args:
        run: handle.
        job: name of the job.
        state: of the run.
        created: when it was submitted, RFC 3339.
        ended: when it ended, or None.
        attempts: Ray clusters that have worked on it, or will.
        reason: why it waits, or None.
        doing: what its driver does, in its own words, or None.
        outcome: how it ended, or None.
        cells: trials; empty before the driver has its plan, and where its log is gone.
        used: hours of pods and GPUs, and their cost, as the driver counts them, or None.
        output: URI of its folder, or None where nothing says it.
    """

    run: str
    job: str
    state: State
    created: str
    ended: str | None
    attempts: int
    reason: Reason | None = None
    doing: str | None = None
    outcome: Outcome | None = None
    cells: Sequence[Cell] = ()
    used: UsageBulletin | None = None
    output: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `cells` with their `left`, of which `running` is a part, and their `cost`."""
        cells = [
            {**asdict(cell), "left": cell.left, "cost": self._cost(cell)} for cell in self.cells
        ]
        counts = ("done", "failed", "running", "left", "total")
        totals = {key: sum(cell[key] for cell in cells) for key in counts}
        return {**asdict(self), "cells": cells, "trials": totals, "used": self._used()}

    def _cost(self, cell: Cell) -> float | None:
        """What its part of the pods' hours cost, each hour as much as the run's on average.

        MLflow has what each trial cost at the prices of its own attempts.
        """
        if self.used is None or self.used.cost is None or not self.used.pod_hours:
            return None
        return round(self.used.cost * cell.pod_hours / self.used.pod_hours, 4)

    def _used(self) -> dict[str, Any] | None:
        if self.used is None:
            return None
        return self.used.model_dump(exclude={"pricon", "is_last", "cells"})


def status_of(cluster: Cluster, handle: str) -> Status:
    """Everything about one run.

    Raises:
        LaunchError: there is no such run, or the API server refuses.
    """
    ray_job = get_run(cluster, handle)
    account = read_log(cluster, ray_job)
    pods = since(ray_job, cluster.find(PODS, f"{RUN_LABEL}={handle}"))
    events = events_of(cluster, ray_job)
    state = state_told(ray_job, account.end)
    outcome = reason = None
    if state in ENDED:
        outcome = outcome_of(ray_job, account.end, why_ended(ray_job, pods, events))
    else:
        reason = why_pending(ray_job, pods, events)
    cells = account.cells()
    if state != "running":  # a driver that was killed could not say that nothing trains any more
        cells = [replace(cell, running=0) for cell in cells]
    return Status(
        **{**_facts(ray_job), "state": state},
        reason=reason,
        doing=account.doing if state == "running" else None,
        outcome=outcome,
        cells=cells,
        used=account.used,
        output=_folder(account, ray_job),
    )


def brief_status(ray_job: Object) -> Status:
    """What a RayJob alone says of its run."""
    return Status(**_facts(ray_job))


def _folder(account: Account, ray_job: Object) -> str | None:
    return output_of(ray_job) if account.plan is None else account.plan.output


def _facts(ray_job: Object) -> dict[str, Any]:
    status = ray_job.get("status") or {}
    labels = ray_job["metadata"].get("labels") or {}
    state = state_of(ray_job)
    return {
        "run": name_of(ray_job),
        "job": str(labels.get(JOB_LABEL, "")),
        "state": state,
        "created": str(ray_job["metadata"]["creationTimestamp"]),
        "ended": status.get("endTime"),
        "attempts": int(status.get("failed") or 0) + (state != "failed"),
    }
