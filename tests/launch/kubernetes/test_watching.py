"""Objects as they change, whatever happens to the watch."""

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes import watching
from pricon.launch.kubernetes.client import RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.patience import Patience
from pricon.launch.kubernetes.refusals import (
    ForbiddenError,
    UnansweredError,
    UnknownKindError,
    UnknownUserError,
)
from pricon.launch.kubernetes.watching import Connection, snapshots
from tests.launch.kubernetes.access import HASTY, connect
from tests.launch.kubernetes.apifaults import NOT_YET_ALLOWED, ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, ray_job


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def seen(kube: Cluster, said: list[str]) -> Iterator[dict[str, Object]]:
    return snapshots(kube, RAY_JOBS, {}, Connection(said.append, HASTY), Event())


def states(snapshot: dict[str, Object]) -> dict[str, str]:
    return {
        name: one.get("status", {}).get("jobDeploymentStatus") for name, one in snapshot.items()
    }


def test_what_is_there_and_what_changes(
    seen: Iterator[dict[str, Object]], operator: Operator
) -> None:
    assert next(seen) == {}
    operator.add(ray_job())
    assert states(next(seen)) == {HANDLE: None}
    operator.status(jobDeploymentStatus="Running")
    assert states(next(seen)) == {HANDLE: "Running"}
    operator.store.delete("rayjobs", HANDLE)
    assert next(seen) == {}


def test_a_watch_that_the_server_ends_is_opened_where_it_was(
    seen: Iterator[dict[str, Object]], operator: Operator, api: ApiServer
) -> None:
    api.watch_s = 0.1
    operator.add(ray_job())
    next(seen)
    for state in ("Initializing", "Running", "Complete"):
        operator.status(jobDeploymentStatus=state)
        assert states(next(seen)) == {HANDLE: state}
    assert api.times("list", "rayjobs") == 1
    assert api.times("watch", "rayjobs") >= 1


@pytest.mark.parametrize("how", ["gone", "refused", "cut", "reset", "trouble"])
def test_a_watch_that_breaks_begins_anew(
    how: str, seen: Iterator[dict[str, Object]], operator: Operator, api: ApiServer
) -> None:
    operator.add(ray_job())
    next(seen)
    match how:
        case "gone":
            api.store.compacted = 10**6
        case "refused":
            api.fail("watch", status=410)
        case "cut":
            api.fail("watch", cut_after=0)
        case "reset":
            api.fail("watch", reset=True)
        case "trouble":
            api.fail("watch", status=500, times=3)
    operator.status(jobDeploymentStatus="Running")
    assert states(next(seen)) == {HANDLE: "Running"}
    assert api.times("list", "rayjobs") >= 2


def test_a_server_that_is_away_is_waited_for_and_said_once(
    seen: Iterator[dict[str, Object]], operator: Operator, api: ApiServer, said: list[str]
) -> None:
    operator.add(ray_job())
    next(seen)
    api.fail("watch", reset=True)
    api.fail("list", status=503, times=12)
    assert states(next(seen)) == {HANDLE: None}
    assert len(said) == 2
    assert "trouble of its own (status 503)" in said[0]
    assert "the run goes on, trying again" in said[0]
    assert said[1] == "the API server answers again"


@pytest.mark.parametrize(
    ("status", "body"), [(401, None), (403, NOT_YET_ALLOWED), (404, "404 page not found")]
)
def test_a_server_that_has_just_started_may_know_neither_users_nor_ray(
    status: int,
    body: str | None,
    seen: Iterator[dict[str, Object]],
    operator: Operator,
    api: ApiServer,
    said: list[str],
) -> None:
    """Seen with Kubernetes' own API server: it answers 403 before it has read the roles."""
    operator.add(ray_job())
    next(seen)
    api.fail("watch", reset=True)
    api.fail("list", status=status, body=body, times=3)
    assert states(next(seen)) == {HANDLE: None}
    assert said == []
    assert api.times("list", "rayjobs") == 5


def test_a_server_that_goes_on_refusing_is_believed(
    kube: Cluster, operator: Operator, api: ApiServer, said: list[str]
) -> None:
    connection = Connection(said.append, HASTY, forgetful_s=0.2)
    seen = snapshots(kube, RAY_JOBS, {}, connection, Event())
    next(seen)
    api.fail("watch", reset=True)
    api.fail("list", status=401, times=10**6)
    with pytest.raises(UnknownUserError, match="a token has expired"):
        next(seen)
    assert api.times("list", "rayjobs") > 3


def test_a_refusal_that_lasts_is_told_once(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_SILENT_S", 0.1)
    connection = Connection(said.append, HASTY)
    for listener in ("log", "pods"):
        connection.works(listener)
        connection.refused(listener, ForbiddenError("you may not"))
    assert said == []
    time.sleep(0.15)
    for listener in ("log", "pods", "log"):
        connection.refused(listener, ForbiddenError("you may not"))
    (told,) = said
    assert told.startswith("you may not; asking for 60 s more")


def test_each_refusal_has_a_clock_of_its_own(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_ANEW_S", 0.1)
    connection = Connection(said.append, HASTY, forgetful_s=0.3)
    error = ForbiddenError("you may not")
    for listener in ("log", "pods"):
        with pytest.raises(ForbiddenError):
            connection.refused(listener, error)  # who was never answered is believed at once
        connection.works(listener)
    time.sleep(0.15)
    connection.refused("log", error)
    time.sleep(0.35)
    connection.refused("log", error)  # another server than before, started anew
    connection.refused("pods", error)


def test_that_something_else_is_answered_does_not_hide_a_refusal(said: list[str]) -> None:
    connection = Connection(said.append, HASTY, forgetful_s=0.2)
    since = time.monotonic()

    def ask() -> None:
        while time.monotonic() - since < 5:
            connection.works("log")
            connection.refused("log", ForbiddenError("you may not read logs"))
            time.sleep(0.01)

    with pytest.raises(ForbiddenError):
        ask()


def test_a_server_ends_politely_and_comes_back_without_roles(
    seen: Iterator[dict[str, Object]], operator: Operator, api: ApiServer
) -> None:
    api.watch_s = 0.1
    next(seen)
    api.fail("watch", after=1, status=403, body=NOT_YET_ALLOWED, times=2)
    assert next(seen) == {}
    operator.add(ray_job())
    assert states(next(seen)) == {HANDLE: None}


def test_no_kuberay_at_all_is_the_end(seen: Iterator[dict[str, Object]], api: ApiServer) -> None:
    api.has_kuberay = False
    with pytest.raises(UnknownKindError, match="KubeRay is not installed"):
        next(seen)


def test_a_server_that_stays_away_is_the_end(tmp_path: Path, said: list[str]) -> None:
    nobody = connect(tmp_path, "http://127.0.0.1:1", Patience(attempts=1, first_s=0.01))
    connection = Connection(said.append, HASTY, lost_after_s=0.1)
    with pytest.raises(UnansweredError, match="does not answer"):
        next(snapshots(nobody, RAY_JOBS, {}, connection, Event()))


def test_listeners_share_the_words_and_not_the_clock(said: list[str]) -> None:
    """What one of them hears is no sign of life for another."""
    connection = Connection(said.append, HASTY, lost_after_s=0.05)
    error = UnansweredError("no answer", "wait")
    pauses = [connection.failed("pods", error), connection.failed("log", error)]
    assert said == ["no answer; the run goes on, trying again"]
    time.sleep(0.06)
    connection.works("log")
    pauses.append(connection.failed("log", error))
    with pytest.raises(UnansweredError, match="no answer"):
        connection.failed("pods", error)
    assert len(said) == 1, "not well before both are"
    connection.works("log")
    connection.works("pods")
    connection.works("pods")
    assert said[1:] == ["the API server answers again"]
    assert all(0.016 <= pause <= 0.024 for pause in pauses)


def test_who_fails_again_waits_longer(said: list[str]) -> None:
    connection = Connection(said.append, Patience(first_s=1.0, most_s=4.0))
    pauses = [connection.failed("pods", UnansweredError("no")) for _ in range(5)]
    for pause, most in zip(pauses, (1.0, 2.0, 4.0, 4.0, 4.0), strict=True):
        assert 0.8 * most <= pause <= 1.2 * most


def test_a_refusal_is_the_end(kube: Cluster, api: ApiServer, said: list[str]) -> None:
    """Although what may be listed is listed time and again."""
    api.forbidden.add(("watch", "rayjobs"))
    connection = Connection(said.append, HASTY, forgetful_s=0.2)
    seen = snapshots(kube, RAY_JOBS, {}, connection, Event())
    with pytest.raises(LaunchError, match="may not watch rayjobs"):
        deque(seen, maxlen=0)
