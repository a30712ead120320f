"""What three threads hear of a run. `test_following.py` has what is made of it."""

import time
from dataclasses import replace
from threading import enumerate as threads

import pytest

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.listening import (
    Listeners,
    LogLine,
    LogRead,
    Note,
    PodsSeen,
    RunSeen,
)
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.refusals import ForbiddenError, UnansweredError
from tests.launch.kubernetes.apifaults import SILENT_NODE, ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, pod, ray_job


@pytest.fixture
def listeners(kube: Cluster, operator: Operator) -> Listeners:
    return Listeners(cluster=kube, ray_job=operator.add(ray_job()), tick_s=0.02)


def hear(listeners: Listeners, *kinds: type) -> list[object]:
    """The next of each of these kinds, in any order."""
    found: dict[type, object] = {}
    while {*kinds} - found.keys():
        heard = listeners.heard.get(timeout=10)
        found.setdefault(type(heard), heard)
    return [found[kind] for kind in kinds]


def test_run_pods_and_lines_are_heard(listeners: Listeners, operator: Operator) -> None:
    operator.start()
    operator.say("one")
    listeners.start()
    run, pods, line = hear(listeners, RunSeen, PodsSeen, LogLine)
    assert isinstance(run, RunSeen)
    assert run.ray_job is not None
    assert isinstance(pods, PodsSeen)
    assert [name_of(one) for one in pods.pods] == [f"{HANDLE}-head1", operator.submitter]
    assert line == LogLine(text="one")
    operator.finish()
    listeners.ended.set()
    hear(listeners, LogRead)
    listeners.stop.set()


def test_other_runs_are_not_heard(listeners: Listeners, operator: Operator) -> None:
    operator.add(ray_job(name="another-1"))
    operator.add(pod("another-1-head", "head", labels={"pricon.dev/run": "another-1"}))
    listeners.start()
    run, pods = hear(listeners, RunSeen, PodsSeen)
    assert isinstance(run, RunSeen)
    assert run.ray_job is not None
    assert run.ray_job["metadata"]["name"] == HANDLE
    assert pods == PodsSeen(pods=[])
    listeners.stop.set()


def test_a_node_that_gives_no_log_is_told_once(
    listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    operator.start()
    operator.say("one")
    api.fail("log", status=500, body=SILENT_NODE, times=3)
    listeners.start()
    note, line = hear(listeners, Note, LogLine)
    assert isinstance(note, Note)
    assert note.text.startswith(f"the log of Pod `{operator.submitter}` cannot be read from its")
    assert note.text.endswith("connection refused; trying again")
    assert line == LogLine(text="one")
    left = [listeners.heard.get_nowait() for _ in range(listeners.heard.qsize())]
    assert not any(isinstance(heard, Note) for heard in left)
    listeners.stop.set()


def test_the_next_driver_is_heard_while_a_lost_node_keeps_the_one_before(
    listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    operator.start()
    fault = api.fail("log", status=500, body=SILENT_NODE, times=10**6)
    listeners.start()
    hear(listeners, Note)
    operator.start()
    operator.say("of the second")
    (note,) = hear(listeners, Note)
    assert isinstance(note, Note)
    assert operator.submitter in note.text, "of the second driver's pod"
    fault.times = 0
    (line,) = hear(listeners, LogLine)
    assert line == LogLine(text="of the second")
    listeners.stop.set()


@pytest.mark.parametrize("watch_breaks", [False, True])
def test_a_broken_log_says_nothing_of_the_api_server(
    watch_breaks: bool, listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    """Neither is it lost because of the log, nor well because a node is what refuses it."""
    listeners.lost_after_s = 0.5
    listeners.cluster = Cluster(
        listeners.cluster.access, replace(listeners.cluster.patience, most_s=0.02)
    )
    operator.start()
    listeners.start()
    hear(listeners, RunSeen, PodsSeen)
    api.fail("log", status=500, body=SILENT_NODE, times=10**6)
    if watch_breaks:
        for verb in ("list", "watch"):
            api.fail(verb, status=503, times=10**6)
    api.store.restart()
    time.sleep(1.0)
    heard = [listeners.heard.get_nowait() for _ in range(listeners.heard.qsize())]
    lost = [one for one in heard if isinstance(one, UnansweredError)]
    assert bool(lost) is watch_breaks
    notes = [one.text for one in heard if isinstance(one, Note)]
    assert len([text for text in notes if "the run goes on, trying again" in text]) == watch_breaks
    assert len([text for text in notes if "cannot be read from its node" in text]) == 1
    listeners.stop.set()


def test_an_api_server_that_is_away_is_told_in_one_line(
    listeners: Listeners, operator: Operator, api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Three threads notice."""
    operator.start()
    operator.say("one")
    listeners.start()
    hear(listeners, RunSeen, PodsSeen, LogLine)
    faults = [api.fail(verb, status=503, times=10**6) for verb in ("list", "watch", "log", "get")]
    api.store.restart()
    (note,) = hear(listeners, Note)
    time.sleep(0.5)
    for fault in faults:
        fault.times = 0
    operator.say("two")
    (line,) = hear(listeners, LogLine)
    assert line == LogLine(text="two")
    time.sleep(0.5)
    left = [listeners.heard.get_nowait() for _ in range(listeners.heard.qsize())]
    assert isinstance(note, Note)
    assert note.text.endswith("; the run goes on, trying again")
    assert [one for one in left if isinstance(one, Note)] in (
        [],  # heard before the line
        [Note(text="the API server answers again")],
    )
    assert "does not answer as it should" not in caplog.text
    listeners.stop.set()


def test_an_error_of_a_thread_is_heard(listeners: Listeners, api: ApiServer) -> None:
    api.forbidden.add(("list", "pods"))
    listeners.start()
    (error,) = hear(listeners, ForbiddenError)
    assert isinstance(error, ForbiddenError)
    assert "may not list pods" in error.message
    listeners.stop.set()


def test_stopping_ends_the_threads(
    listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    operator.start()
    listeners.start()
    hear(listeners, RunSeen, PodsSeen)
    listeners.stop.set()
    api.store.restart()
    deadline = time.monotonic() + 8.0
    while time.monotonic() < deadline and any("pricon_to" in one.name for one in threads()):
        time.sleep(0.02)
    assert not any("pricon_to" in one.name for one in threads())


def test_a_defect_of_a_thread_is_not_waited_for(listeners: Listeners, api: ApiServer) -> None:
    api.fail("list", "pods", status=200, body='{"items": ["no object"]}')
    listeners.start()
    (error,) = hear(listeners, TypeError)
    assert isinstance(error, TypeError)
    listeners.stop.set()


def test_a_quiet_log_ends_an_outage_as_well(
    listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    """Else the next one, hours later, would be taken for the same, and for the end."""
    listeners.lost_after_s = 0.3
    operator.start()
    listeners.start()
    hear(listeners, RunSeen, PodsSeen)
    for _ in range(2):
        api.fail("get", "pods", status=503, times=4)
        api.store.restart()
        told = [note.text for note in hear_notes(listeners, 2)]
        assert "trouble of its own (status 503)" in told[0]
        assert told[1] == "the API server answers again"
        time.sleep(0.4)
    listeners.stop.set()


def test_a_log_that_may_not_be_read_is_told(
    listeners: Listeners, operator: Operator, api: ApiServer
) -> None:
    """Although its pod may be, time and again."""
    listeners.forgetful_s = 0.2
    api.forbidden.add(("get", "pods/log"))
    operator.start()
    listeners.start()
    (error,) = hear(listeners, ForbiddenError)
    assert "pods/log" in str(error)
    listeners.stop.set()


def hear_notes(listeners: Listeners, number: int) -> list[Note]:
    """The next notes, and nothing that is an error."""
    found: list[Note] = []
    while len(found) < number:
        heard = listeners.heard.get(timeout=10)
        assert not isinstance(heard, Exception), heard
        if isinstance(heard, Note):
            found.append(heard)
    return found
