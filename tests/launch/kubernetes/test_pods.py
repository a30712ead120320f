"""Reading pods and events."""

import pytest

from pricon.launch.kubernetes.pods import (
    about,
    asks_for,
    by_role,
    limit_of,
    message_of,
    pool_of,
    role_of,
    since,
    waits,
    when,
)
from tests.launch.kubernetes.operator import event, pod, ray_job


def test_roles_and_pools() -> None:
    worker = pod("w", "worker", labels={"ray.io/group": "gpu-a100"})
    head = pod("h", "head", labels={"ray.io/group": "headgroup"})
    assert (pool_of(worker), pool_of(head)) == ("gpu-a100", None)
    bare = pod("x", "worker", labels={"ray.io/node-type": "head"})
    del bare["metadata"]["labels"]["pricon.dev/role"]
    assert role_of(bare) == "head"
    order = by_role([worker, pod("s", "submitter"), head])
    assert [one["metadata"]["name"] for one in order] == ["h", "s", "w"]


def test_what_a_pod_asks_for() -> None:
    worker = pod("w", "worker")
    assert asks_for(worker) == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert limit_of(worker, "ray-worker") == "16Gi"
    assert limit_of(worker, "another") is None


def test_containers_that_wait() -> None:
    state = {"name": "a", "state": {"waiting": {"reason": "ErrImagePull", "message": "no\n  such"}}}
    works = {"name": "b", "state": {"running": {}}}
    found = [*waits(pod("w", "worker", {"containerStatuses": [works, state]}))]
    assert [(reason, message) for _, reason, message in found] == [("ErrImagePull", "no such")]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"lastTimestamp": "b"}, "b"),
        ({"lastTimestamp": None, "eventTime": "c"}, "c"),
        ({"lastTimestamp": "b", "series": {"lastObservedTime": "d"}}, "d"),
        ({"lastTimestamp": None}, "a"),
    ],
)
def test_the_time_of_an_event(times: dict[str, object], expected: str) -> None:
    body = event("Pod", "x", "Failed", "no") | times
    body["metadata"]["creationTimestamp"] = "a"
    assert when(body) == expected


def test_events_about_an_object_the_newest_first() -> None:
    events = [
        event("Pod", "x", "A", "one\n two", "12:00:00"),
        event("Pod", "x", "B", "three", "12:00:05"),
        event("Pod", "y", "C", "four", "12:00:09"),
    ]
    assert [one["reason"] for one in about(events, "x")] == ["B", "A"]
    assert message_of(events[0]) == "one two"


def test_what_is_older_than_a_run_is_of_another() -> None:
    run = ray_job(creationTimestamp="2026-11-24T12:00:05Z")
    old, new = event("Pod", "x", "A", "", "12:00:04"), event("Pod", "x", "B", "", "12:00:05")
    new["eventTime"], new["lastTimestamp"] = "2026-11-24T12:00:05.000001Z", None
    assert since(run, [old, new]) == [new]
