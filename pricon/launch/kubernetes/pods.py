"""Reading pods and events of a run: roles, containers, what was said about whom. No judgement."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pricon.launch.kubernetes.client import Object

_SECONDS = len("2026-11-24T12:00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a run waits, or ended.

    Args:
        sentence: the cause.
        hint: how to go on, or None where nothing honest can be advised.
    """

    sentence: str
    hint: str | None = None


def since(ray_job: Object, found: Iterable[Object]) -> list[Object]:
    """Those pods and events that are not older than a run.

    Others are of a run before it, which had its name, and go away in the background.
    """
    created = str(ray_job["metadata"]["creationTimestamp"])
    return [one for one in found if when(one)[:_SECONDS] >= created[:_SECONDS]]


def name_of(found: Object) -> str:
    """Name of an object."""
    return str(found["metadata"]["name"])


def role_of(pod: Object) -> str:
    """`head`, `worker` or `submitter`."""
    labels = pod["metadata"].get("labels") or {}
    if "pricon.dev/role" in labels:
        return str(labels["pricon.dev/role"])
    return str(labels.get("ray.io/node-type", "submitter"))


def pool_of(pod: Object) -> str | None:
    """Name of a worker's pool, which is that of its group in the RayJob."""
    group = (pod["metadata"].get("labels") or {}).get("ray.io/group")
    return str(group) if group and role_of(pod) == "worker" else None


def phase_of(pod: Object) -> str:
    """`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def by_role(pods: Iterable[Object]) -> list[Object]:
    """Head, submitter, workers: who must be there first comes first."""
    order = {"head": 0, "submitter": 1, "worker": 2}
    return sorted(pods, key=lambda pod: (order.get(role_of(pod), 3), name_of(pod)))


def containers(pod: Object) -> Iterator[Object]:
    """Status of each container, those that initialise first."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def waits(pod: Object) -> Iterator[tuple[Object, str, str]]:
    """Containers that do not run yet: status, reason, message."""
    for container in containers(pod):
        waiting = (container.get("state") or {}).get("waiting")
        if waiting is not None:
            reason, message = waiting.get("reason"), waiting.get("message")
            yield container, str(reason or ""), " ".join(str(message or "").split())


def condition(pod: Object, kind: str) -> Object:
    """A condition of a pod, or {}."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == kind), {})


def asks_for(pod: Object) -> dict[str, str]:
    """What a pod's largest container requests, resource -> quantity."""
    asked: dict[str, str] = {}
    for container in (pod.get("spec") or {}).get("containers") or []:
        resources = container.get("resources") or {}
        asked |= {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: str(value) for name, value in asked.items()}


def limit_of(pod: Object, container: str) -> str | None:
    """Memory limit of a container."""
    for entry in (pod.get("spec") or {}).get("containers") or []:
        if entry["name"] == container:
            limit = ((entry.get("resources") or {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None


def when(event: Object) -> str:
    """Last time of an event, or when another object was created; sorts as text."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    return next((str(time) for time in times if time), "")


def message_of(event: Object) -> str:
    """What an event says, on one line."""
    return " ".join(str(event.get("message") or "").split())


def about(events: Iterable[Object], name: str) -> list[Object]:
    """Events about objects of this name, the newest first."""
    found = [event for event in events if event["involvedObject"].get("name") == name]
    return sorted(found, key=when, reverse=True)
