"""Each line of a log once, whatever happens to connections."""

from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.podlog import (
    SUBMITTER,
    Cursor,
    PodLog,
    has_ended,
    has_started,
    submitter_pods,
)
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, pod, ray_job, running


def stamped(second: int, nanos: int, text: str) -> bytes:
    return f"2026-11-24T12:00:{second:02d}.{nanos:09d}Z {text}\n".encode()


@given(
    seconds=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=6),
    sends_all=st.booleans(),
)
def test_a_cursor_takes_each_line_once(
    seconds: list[int], cuts: list[int], sends_all: bool
) -> None:
    """Many lines share a second, some even time stamp and text; connections end anywhere."""
    lines = [stamped(second, 5, "same") for second in sorted(seconds)]
    cursor, taken = Cursor(), 0
    for end in [*sorted(cuts), len(lines)]:
        since = cursor.reopen()
        asked = 0 if since is None or sends_all else int(since[17:19])
        if since is not None and since < "2026-11-24T12:00:00Z":
            asked = 0
        sent = [line for line in lines[:end] if int(line[17:19]) >= asked]
        taken += sum(cursor.take(line) is not None for line in sent)
        assert taken == min(end, len(lines)) or end < taken
    assert taken == len(lines)


def test_a_line_without_a_time_stamp_is_shown() -> None:
    assert Cursor().take(b"no stamp here\n") == "no stamp here"


def test_zones_do_not_matter() -> None:
    cursor = Cursor()
    assert cursor.take(b"2026-11-24T13:00:05.000000001+01:00 a\n") == "a"
    assert cursor.reopen() == "2026-11-24T12:00:04Z"


@pytest.fixture
def log(kube: Cluster, operator: Operator) -> PodLog:
    operator.add(ray_job())
    operator.start()
    return PodLog(kube, operator.store.get("pods", operator.submitter))


def test_following_ends_with_the_container(log: PodLog, operator: Operator) -> None:
    said = [f"line {index}" for index in range(20)]

    def work() -> None:
        for line in said:
            operator.say(line)
        operator.finish()

    worker = Thread(target=work)
    worker.start()
    assert [*log.follow(Event())] == said
    worker.join()


@pytest.mark.parametrize("cut", [0, 1, 4, 5])
def test_a_cut_connection_loses_and_repeats_nothing(
    cut: int, log: PodLog, operator: Operator, api: ApiServer
) -> None:
    said = [f"line {index % 3}" for index in range(12)]
    operator.say(*said)
    api.fail("log", cut_after=cut)
    api.fail("log", cut_after=6, is_polite=True)
    api.fail("log", reset=True)
    lines = log.follow(Event())
    assert [next(lines) for _ in range(11)] == said[:-1]
    operator.finish()
    assert [*lines] == said[-1:]


def test_the_last_lines_are_read_after_the_end(
    log: PodLog, operator: Operator, api: ApiServer
) -> None:
    operator.say("one", "two")
    operator.finish()
    api.fail("log", cut_after=1, times=2)
    assert [*log.follow(Event())] == ["one", "two"]


def test_the_pod_is_deleted(log: PodLog, operator: Operator) -> None:
    operator.say("one")
    lines = log.follow(Event())
    assert next(lines) == "one"
    operator.store.delete("pods", operator.submitter)
    assert [*lines] == []


def test_following_can_be_stopped(log: PodLog) -> None:
    stop = Event()
    stop.set()
    assert [*log.follow(stop)] == []


def test_the_newest_submitter_pod_is_the_last() -> None:
    old, new = (
        pod(name, "submitter", labels={"batch.kubernetes.io/job-name": HANDLE})
        for name in ("b", "a")
    )
    old["metadata"]["creationTimestamp"] = "2026-11-24T12:00:00Z"
    new["metadata"]["creationTimestamp"] = "2026-11-24T13:00:00Z"
    assert submitter_pods([new, pod("head", "head"), old], HANDLE) == [old, new]


def test_states_of_a_container() -> None:
    waiting = pod("a", "submitter")
    assert (has_started(waiting), has_ended(waiting)) == (False, False)
    works = pod("a", "submitter", running(SUBMITTER))
    assert (has_started(works), has_ended(works)) == (True, False)
    evicted = pod("a", "submitter", {"phase": "Failed"})
    assert (has_started(evicted), has_ended(evicted)) == (False, True)
