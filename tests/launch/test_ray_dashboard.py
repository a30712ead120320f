"""A dashboard that fails, over real HTTP; the real one is in test_ray_jobs.py."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from ray.job_submission import JobStatus

from pricon.errors import LaunchError
from pricon.launch.ray_dashboard import Patience
from pricon.launch.ray_jobs import BusyError, RayJobs
from pricon.launch.submission import Submission, handle_of
from pricon.spec.job import JobSpec
from tests.launch.dashboard import JOBS, PACKAGES, VERSION, FakeDashboard, Fault, dashboard

QUICK = Patience(connect_s=0.3, read_s=5.0, silent_s=0.2, first_s=2.0, known_s=9.0)
HASTY = replace(QUICK, read_s=0.3)
"""For who meets silence; a machine that is busy may then be taken for silent, too."""
PASSING: tuple[Fault, ...] = ("silent", 429, 503, "reset")


@pytest.fixture
def there() -> Iterator[FakeDashboard]:
    with dashboard() as found:
        yield found


@pytest.fixture
def ray_jobs(there: FakeDashboard) -> RayJobs:
    return RayJobs(there.url, QUICK)


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for_from_the_first_request(
    fault: Fault, there: FakeDashboard, job: JobSpec
) -> None:
    there.fail(f"GET {VERSION}", fault)
    there.add("mine", metadata={"pricon.run": handle_of(job)})
    there.fail(f"GET {JOBS}", fault)
    patient = replace(HASTY if fault == "silent" else QUICK, first_s=5.0)
    assert RayJobs(there.url, patient).find(handle_of(job)) == "mine"
    assert there.asked.count(f"GET {VERSION}") >= 2
    assert there.asked.count(f"GET {JOBS}") >= 2


@pytest.mark.parametrize(
    ("request_", "ask", "answer"),
    [
        (f"GET {JOBS}mine", lambda jobs: jobs.outcome("mine")[0], JobStatus.RUNNING),
        (f"POST {JOBS}mine/stop", lambda jobs: jobs.stop("mine"), None),
        (f"GET {JOBS}", lambda jobs: jobs.find_entrypoint("x"), "mine"),
    ],
)
def test_every_request_is_tried_again(
    request_: str,
    ask: Callable[[RayJobs], object],
    answer: object,
    there: FakeDashboard,
    ray_jobs: RayJobs,
) -> None:
    there.add("mine")
    there.fail(request_, 502, 429)
    assert ask(ray_jobs) == answer
    assert there.asked.count(request_) == 3


def test_a_busy_cluster_is_left_alone_as_long_as_it_asks(
    there: FakeDashboard, ray_jobs: RayJobs
) -> None:
    there.retry_after = "1"
    there.fail(f"GET {JOBS}", 429)
    since = time.monotonic()
    assert ray_jobs.find("x") is None
    assert time.monotonic() - since >= 1.0


def test_who_asks_for_longer_than_anybody_waits_is_asked_once_more(there: FakeDashboard) -> None:
    """Also by who knows the address only: something answers there."""
    there.retry_after = "3600"
    there.fail(f"GET {VERSION}", *[503] * 9)
    with pytest.raises(BusyError, match=r"refused\n  status 503"):
        RayJobs(there.url, replace(QUICK, first_s=0.1, known_s=1.0))
    assert there.asked.count(f"GET {VERSION}") == 2


def test_a_submission_that_is_told_to_wait_asks_nothing_else(
    there: FakeDashboard, ray_jobs: RayJobs, job: JobSpec
) -> None:
    there.retry_after = "1"
    there.fail(f"POST {JOBS}", 429)
    asked = len(there.asked)
    ray_jobs.submit(job, Submission())
    sent = [request for request in there.asked[asked:] if JOBS in request]
    assert sent == [f"GET {JOBS}", f"POST {JOBS}", f"POST {JOBS}"]


def test_a_log_is_read_through_outages(there: FakeDashboard) -> None:
    there.add("mine", "SUCCEEDED")
    there.fail(f"GET {JOBS}mine", "reset", 429)
    there.fail(f"GET {JOBS}mine/logs", "silent", 503)
    assert list(RayJobs(there.url, HASTY).follow("mine")) == ["one", "two"]


@pytest.mark.parametrize(
    "faults",
    [
        {f"PUT {PACKAGES}": [503]},
        {f"POST {JOBS}": [429]},
        {f"POST {JOBS}": ["lost"]},
        {f"POST {JOBS}": ["lost", 503]},
    ],
)
def test_a_submission_arrives_once(
    faults: dict[str, list[Any]], there: FakeDashboard, ray_jobs: RayJobs, job: JobSpec
) -> None:
    for request, what in faults.items():
        there.fail(request, *what)
    ray_job, is_new = ray_jobs.submit(job, Submission())
    assert is_new
    assert [*there.jobs] == [ray_job]


def test_a_refusal_is_told_at_once(there: FakeDashboard, ray_jobs: RayJobs, job: JobSpec) -> None:
    there.fail(f"POST {JOBS}", 400)
    with pytest.raises(LaunchError, match=r"refused\n  Request failed with status code 400") as e:
        ray_jobs.submit(job, Submission())
    assert e.value.hint == "`ray job list --address ADDRESS` shows what runs there"
    assert there.asked.count(f"POST {JOBS}") == 1


def test_of_a_traceback_its_last_line_is_told(there: FakeDashboard) -> None:
    there.fail(f"GET {VERSION}", *[500] * 99)
    there.trouble = "Traceback (most recent call last):\n  File x\nValueError: no such thing\n\n"
    with pytest.raises(BusyError, match=r"refused\n  status 500: ValueError: no such thing\n"):
        RayJobs(there.url, QUICK)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_told_at_once(status: int, there: FakeDashboard) -> None:
    there.fail(f"GET {VERSION}", status)
    with pytest.raises(LaunchError, match="asks for a token"):
        RayJobs(there.url, QUICK)
    assert there.asked == [f"GET {VERSION}"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("silent", r"no Ray cluster answers at http://.*\n.*[Rr]ead timed out"),
        (503, r"the Ray cluster at http://.* refused\n  status 503: in trouble"),
    ],
)
def test_what_does_not_pass_ends_with_words(
    fault: Fault, expected: str, there: FakeDashboard
) -> None:
    there.fail(f"GET {VERSION}", *[fault] * 99)
    with pytest.raises(BusyError, match=expected) as caught:
        RayJobs(there.url, HASTY)
    assert caught.value.hint is not None
    assert len(there.asked) > 1


def test_somebody_else_is_not_asked_again(there: FakeDashboard) -> None:
    there.fail(f"GET {VERSION}", "page")
    with pytest.raises(LaunchError, match="no Ray cluster answers at"):
        RayJobs(there.url, Patience())
    assert there.asked == [f"GET {VERSION}"]


def test_silence_is_told_during_the_first_request(
    there: FakeDashboard, caplog: pytest.LogCaptureFixture
) -> None:
    ray_jobs = RayJobs(there.url, HASTY)
    caplog.clear()
    there.fail(f"GET {JOBS}", "silent")
    assert ray_jobs.find("x") is None
    assert caplog.messages == [f"no good answer from {there.url} yet; waiting"]


@pytest.mark.parametrize("variable", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_the_given_address_wins(
    variable: str, there: FakeDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dashboard() as other:
        monkeypatch.setenv(variable, other.url)
        assert RayJobs(f"{there.url}/", QUICK).find("x") is None
        assert (len(there.asked), other.asked) == (2, [])


def test_a_process_of_a_cluster_asks_its_own(
    there: FakeDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", there.url)
    assert RayJobs("auto", QUICK).find("x") is None
    assert len(there.asked) == 2


@pytest.mark.parametrize("is_silent", [True, False])
def test_nobody_at_an_address_of_rays_client(*, is_silent: bool) -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if is_silent:
            port.listen()
        address = f"ray://127.0.0.1:{port.getsockname()[1]}"
        since = time.monotonic()
        with pytest.raises(LaunchError, match=f"no Ray cluster answers at {address}\n") as caught:
            RayJobs(address, QUICK)
        assert time.monotonic() - since < 10, "Ray's own client tries for half a minute"
    assert "nothing of Ray's within 0.3 s" in caught.value.message
    assert "8265" in (caught.value.hint or "")
