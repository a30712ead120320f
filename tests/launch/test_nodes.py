"""When a run without workers ends. `test_joined.py` has one on a real cluster."""

import re
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.core.generated.common_pb2 import NodeDeathInfo  # type: ignore[attr-defined]
from ray.exceptions import RpcError

from pricon.launch.events import NodesHeld
from pricon.launch.lanes import NoWorkersError
from pricon.launch.nodes import WorkerNodes, has_lost_more_than
from pricon.launch.sizing import Machine

HEAD: Machine = {"memory": 8e9, "node:__internal_head__": 1.0}
FOR_WORKERS: Machine = {"memory": 8e9, "CPU": 4.0}
WORKER: Machine = {"CPU": 1.0}


def checked_for(nodes: WorkerNodes, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        nodes.check()
        time.sleep(0.01)


def test_a_head_alone_is_waited_with_for_so_long() -> None:
    nodes = WorkerNodes(0.2, WORKER, lambda: [HEAD])
    checked_for(nodes, 0.15)
    with pytest.raises(NoWorkersError, match=r"no node for workers has come within 0\.2 s") as e:
        checked_for(nodes, 0.2)
    assert "`pendingLimitS` of the cluster's profile" in str(e.value.hint)
    assert e.value.exit_code == 3


def test_the_clock_begins_when_the_last_one_went() -> None:
    found = [HEAD]
    nodes = WorkerNodes(0.3, WORKER, lambda: found)
    checked_for(nodes, 0.2)
    found.append(FOR_WORKERS)
    checked_for(nodes, 0.5)
    found.pop()
    checked_for(nodes, 0.2)
    with pytest.raises(NoWorkersError, match="no node for workers"):
        checked_for(nodes, 0.4)


@pytest.mark.parametrize(
    ("worker", "nodes", "is_enough"),
    [
        ({"CPU": 4.0}, [HEAD, FOR_WORKERS], True),
        ({"CPU": 0.5, "GPU": 0.25}, [HEAD, {"CPU": 4.0, "GPU": 1.0}], True),
        ({"CPU": 5.0}, [HEAD, FOR_WORKERS, FOR_WORKERS], False),
        ({"CPU": 1.0, "GPU": 0.25}, [HEAD, FOR_WORKERS], False),
        ({"CPU": 4.0, "GPU": 1.0}, [FOR_WORKERS, {"CPU": 2.0, "GPU": 1.0}], False),
    ],
)
def test_only_nodes_large_enough_for_a_worker_count(
    worker: Machine, nodes: list[Machine], is_enough: bool
) -> None:
    looking = WorkerNodes(0.05, worker, lambda: nodes)
    if is_enough:
        checked_for(looking, 0.2)
        return
    needs = ", ".join(f"{noun} {wants:g}" for noun, wants in worker.items())
    with pytest.raises(NoWorkersError, match=f"expected one large enough for a worker: {needs}\n"):
        checked_for(looking, 0.2)


@pytest.mark.parametrize(
    ("worker", "nodes", "num_workers", "room"),
    [
        ({"CPU": 3.0}, [HEAD, FOR_WORKERS, FOR_WORKERS], 2, None),
        ({"CPU": 0.1}, [{"CPU": 0.3}], 3, None),
        ({"CPU": 1.0, "GPU": 0.5}, [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 1.0}], 4, None),
        ({"CPU": 3.0}, [HEAD, FOR_WORKERS, FOR_WORKERS], 3, 2),
        ({"CPU": 1.0, "GPU": 1.0}, [{"CPU": 8.0, "GPU": 1.0}, FOR_WORKERS], 2, 1),
    ],
)
def test_all_workers_of_a_lane_must_fit_at_once(
    worker: Machine, nodes: list[Machine], num_workers: int, room: int | None
) -> None:
    looking = WorkerNodes(0.05, worker, lambda: nodes, num_workers=num_workers)
    if room is None:
        checked_for(looking, 0.2)
        return
    needs = ", ".join(f"{noun} {wants:g}" for noun, wants in worker.items())
    expected = (
        "too few nodes for the workers of a lane have come within 0.05 s\n"
        f"  expected room for {num_workers} at once, each: {needs}; there is room for {room}\n"
    )
    with pytest.raises(NoWorkersError, match=re.escape(expected)) as caught:
        checked_for(looking, 0.2)
    assert "`resources.workers_within_s`" in str(caught.value.hint)


def test_a_question_that_ray_does_not_answer_is_none() -> None:
    away: Any = RpcError
    answers: list[Exception | None] = [None]

    def nodes() -> list[Machine]:
        if answers[0] is not None:
            raise answers[0]
        return [HEAD]

    nodes_of_run = WorkerNodes(0.3, WORKER, nodes)
    checked_for(nodes_of_run, 0.1)
    for failure in (away("GCS is away"), ConnectionResetError("peer")):
        answers[0] = failure
        checked_for(nodes_of_run, 0.2)
    answers[0] = None
    with pytest.raises(NoWorkersError, match="no node for workers"):
        checked_for(nodes_of_run, 0.2)
    answers[0] = ZeroDivisionError("1 / 0")
    with pytest.raises(ZeroDivisionError):
        checked_for(WorkerNodes(0.3, WORKER, nodes), 0.1)


def test_ray_is_asked_now_and_then() -> None:
    asked: list[float] = []

    def nodes() -> list[Machine]:
        asked.append(time.monotonic())
        return [HEAD, FOR_WORKERS]

    checked_for(WorkerNodes(0.4, WORKER, nodes), 0.5)
    assert 3 <= len(asked) <= 6
    checked_for(WorkerNodes(None, WORKER, nodes), 0.1)
    assert len(asked) <= 6, "without a limit nobody is asked"


def test_what_there_was_for_workers_is_counted() -> None:
    gpus: Machine = {"memory": 8e9, "CPU": 4.0, "GPU": 2.0}
    found = [HEAD, FOR_WORKERS, gpus]
    nodes = WorkerNodes(60.0, WORKER, lambda: found)
    first = nodes.check()
    assert first == NodesHeld(nodes=2, gpus=2.0, seconds=0.0)
    assert nodes.check() is None, "every ten seconds is enough"
    time.sleep(0.2)
    found.remove(FOR_WORKERS)
    held = nodes.last()
    assert held is not None
    assert (held.nodes, held.gpus) == (1, 2.0)
    assert 0.2 <= held.seconds < 2.0


def test_what_there_was_is_counted_by_the_moment() -> None:
    nodes = WorkerNodes(60.0, WORKER, lambda: [HEAD, FOR_WORKERS])
    assert nodes.until(time.monotonic()) is None, "nobody has looked"
    nodes.check()
    begun = nodes.counted_at
    assert begun is not None
    first, second = nodes.until(begun + 0.25), nodes.until(begun + 1.0)
    assert first == NodesHeld(nodes=1, gpus=0.0, seconds=0.25)
    assert second == NodesHeld(nodes=1, gpus=0.0, seconds=0.75)
    assert nodes.until(begun + 0.5) is None, "that is counted"


def test_the_last_look_judges_nobody() -> None:
    """All lanes have ended: that their nodes have gone by now is no fault."""
    nodes = WorkerNodes(0.01, WORKER, lambda: [HEAD])
    assert nodes.check() is not None
    time.sleep(0.05)
    held = nodes.last()
    assert held is not None
    assert held.nodes == 0


def test_where_nothing_is_asked_nothing_is_counted() -> None:
    assert WorkerNodes(None, WORKER, lambda: [FOR_WORKERS]).last() is None


TAKEN, GIVEN_BACK = NodeDeathInfo.UNEXPECTED_TERMINATION, NodeDeathInfo.AUTOSCALER_DRAIN_IDLE


def node(name: str, death: int | None = None) -> dict[str, Any]:
    return {"NodeID": name, "Alive": death is None, "DeathReason": death or 0}


@pytest.mark.timeout(20)  # a node that may be dead is waited for, for 30 s
@pytest.mark.parametrize(
    ("nodes", "known", "expected"),
    [
        ([node("own")], set(), False),
        ([node("own"), node("other", TAKEN)], set(), True),
        ([node("own"), node("other", TAKEN), node("next")], set(), True),
        ([node("own"), node("other", TAKEN)], {"other"}, False),
        ([node("own"), node("other", GIVEN_BACK)], set(), False),
    ],
)
def test_a_node_that_was_lost(
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[dict[str, Any]],
    known: set[str],
    *,
    expected: bool,
) -> None:
    """Where this process's own node is all there is, nothing is waited for."""
    own = SimpleNamespace(get_node_id=lambda: "own")
    monkeypatch.setattr("ray.get_runtime_context", lambda: own)
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert has_lost_more_than(known, threading.Event()) is expected


def test_a_node_that_may_be_dead_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray lists it as alive for a while."""
    seen = [[node("own"), node("other")], [node("own"), node("other", TAKEN)]]
    own = SimpleNamespace(get_node_id=lambda: "own")
    monkeypatch.setattr("ray.get_runtime_context", lambda: own)
    monkeypatch.setattr("ray.nodes", lambda: seen.pop(0))
    assert has_lost_more_than(set(), threading.Event())
