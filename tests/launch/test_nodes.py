"""When a run without workers ends. `test_joined.py` has one on a real cluster."""

import time

import pytest

from pricon.launch.lanes import NoWorkersError
from pricon.launch.nodes import WorkerNodes
from pricon.launch.sizing import Machine

HEAD: Machine = {"memory": 8e9, "node:__internal_head__": 1.0}
WITH_WORKER: Machine = {**HEAD, "CPU": 4.0}


def checked_for(nodes: WorkerNodes, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        nodes.check()
        time.sleep(0.01)


def test_a_head_alone_is_waited_with_for_so_long() -> None:
    nodes = WorkerNodes(0.2, lambda: HEAD)
    checked_for(nodes, 0.15)
    with pytest.raises(NoWorkersError, match=r"no node for workers has come within 0\.2 s") as e:
        checked_for(nodes, 0.2)
    assert "`pendingLimitS` of the cluster's profile" in str(e.value.hint)
    assert e.value.exit_code == 3


def test_the_clock_begins_when_the_last_one_went() -> None:
    found = [HEAD]
    nodes = WorkerNodes(0.3, lambda: found[0])
    checked_for(nodes, 0.2)
    found[0] = WITH_WORKER
    checked_for(nodes, 0.5)
    found[0] = HEAD
    checked_for(nodes, 0.2)
    with pytest.raises(NoWorkersError, match="no node for workers"):
        checked_for(nodes, 0.4)


def test_ray_is_asked_now_and_then() -> None:
    asked: list[float] = []

    def resources() -> Machine:
        asked.append(time.monotonic())
        return WITH_WORKER

    checked_for(WorkerNodes(0.4, resources), 0.5)
    assert 3 <= len(asked) <= 6
    checked_for(WorkerNodes(None, resources), 0.1)
    assert len(asked) <= 6, "without a limit nobody is asked"
