"""The whole life of a run as somebody who follows it hears it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from threading import enumerate as threads

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.ending import Outcome
from pricon.launch.kubernetes.following import (
    Changed,
    Ended,
    Heard,
    Line,
    Pace,
    Waiting,
    events_of,
    follow,
)
from pricon.launch.kubernetes.listening import Note
from pricon.launch.kubernetes.runs import get_run
from pricon.launch.kubernetes.sending import submit_run
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import NOT_YET_ALLOWED, ApiServer
from tests.launch.kubernetes.operator import (
    HANDLE,
    Operator,
    Rendered,
    end,
    event,
    plan,
    pod,
    progress,
    ray_job,
    running,
    trial,
)

QUICK = Pace(tick_s=0.05, reason_s=0.15, drain_s=4.0, closed_s=2.0)
Life = Callable[[], object]


def hear(kube: Cluster, *life: Life) -> list[Heard]:
    """Everything that is heard while this happens, step by step."""
    story = follow(kube, HANDLE, QUICK)
    heard = [next(story)]
    listener = Thread(target=lambda: heard.extend(story), daemon=True)
    listener.start()
    for step in life:
        step()
        time.sleep(0.25)
    listener.join(timeout=20)
    assert not listener.is_alive(), heard
    assert [isinstance(one, Ended) for one in heard] == [False] * (len(heard) - 1) + [True]
    return heard


def lines(heard: list[Heard]) -> list[str]:
    return [one.text for one in heard if isinstance(one, Line)]


def states(heard: list[Heard]) -> list[str]:
    return [one.state for one in heard if isinstance(one, Changed)]


def outcome(heard: list[Heard]) -> Outcome:
    assert isinstance(heard[-1], Ended)
    return heard[-1].outcome


@pytest.fixture(autouse=True)
def submitted(kube: Cluster) -> None:
    submit_run(kube, Rendered())


def test_from_submission_to_report(kube: Cluster, operator: Operator) -> None:
    said = [plan(), "an ordinary line", trial("a", "e2e", 0), progress("half")]
    heard = hear(
        kube, operator.start, lambda: operator.say(*said), lambda: operator.say(end()),
        operator.finish,
    )  # fmt: skip
    assert states(heard) == ["starting", "running", "finished"]
    assert lines(heard) == [*said, end()]
    assert [one.bulletin is None for one in heard if isinstance(one, Line)][:2] == [False, True]
    assert outcome(heard) == Outcome(exit_code=0, cause="done")


def test_the_outcome_is_the_driver_s(kube: Cluster, operator: Operator) -> None:
    """Ray calls a driver successful that has told its own outcome."""
    heard = hear(
        kube, operator.start, lambda: operator.say(plan(), end(1, "trials", "1 trial failed")),
        operator.finish,
    )  # fmt: skip
    assert outcome(heard) == Outcome(
        exit_code=1, cause="trials", message="1 trial failed", hint="mend it"
    )


def test_without_its_words_the_outcome_is_kuberay_s(kube: Cluster, operator: Operator) -> None:
    heard = hear(
        kube, operator.start, lambda: operator.say("Killed"),
        lambda: operator.finish("FAILED", "Failed", reason="AppFailed", message="exit code 137"),
    )  # fmt: skip
    assert states(heard)[-1] == "failed"
    assert outcome(heard).exit_code == 3
    assert outcome(heard).message == "the run failed: exit code 137"


def test_connections_break_all_the_time(kube: Cluster, operator: Operator, api: ApiServer) -> None:
    said = [f"line {index % 4}" for index in range(40)]
    for cut in (0, 3, 7, 2, 9):
        api.fail("log", cut_after=cut)
    api.fail("log", reset=True, times=2)
    api.fail("log", status=500, times=2)
    api.fail("watch", reset=True, times=3, after=1)
    api.fail("watch", cut_after=0, times=3)
    api.fail("get", status=429, times=2)
    steps = [lambda part=said[start : start + 5]: operator.say(*part) for start in range(0, 40, 5)]
    heard = hear(kube, operator.start, *steps, lambda: operator.say(end()), operator.finish)
    assert lines(heard) == [*said, end()]
    assert outcome(heard).exit_code == 0


def test_the_watch_is_too_old(kube: Cluster, operator: Operator, api: ApiServer) -> None:
    api.watch_s = 0.2

    def compact() -> None:
        api.store.compacted = api.store.version + 1

    heard = hear(kube, operator.start, compact, lambda: operator.say(end()), operator.finish)
    assert states(heard) == ["starting", "running", "finished"]
    assert api.times("list", "rayjobs") >= 2


def test_the_api_server_is_restarted(kube: Cluster, operator: Operator, api: ApiServer) -> None:
    """For a while nothing is answered; then everything goes on, with nothing lost."""

    def go_away() -> None:
        operator.say("before")
        for verb in ("list", "watch", "get", "log"):
            api.fail(verb, status=503, times=9)
        api.store.restart()

    heard = hear(
        kube, operator.start, go_away, lambda: operator.say("meanwhile", end()),
        operator.finish,
    )  # fmt: skip
    assert lines(heard) == ["before", "meanwhile", end()]
    notes = [one.text for one in heard if isinstance(one, Note)]
    assert any("the run goes on, trying again" in note for note in notes)
    assert "the API server answers again" in notes


def test_the_api_server_is_restarted_and_has_not_read_the_roles_yet(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    def go_away() -> None:
        operator.say("before")
        for verb in ("list", "watch", "get", "log"):
            api.fail(verb, status=503, times=3)
            api.fail(verb, status=403, body=NOT_YET_ALLOWED, times=6)
        api.store.restart()

    heard = hear(
        kube, operator.start, go_away, lambda: operator.say("meanwhile", end()),
        operator.finish,
    )  # fmt: skip
    assert lines(heard) == ["before", "meanwhile", end()]
    assert outcome(heard).exit_code == 0


def test_kuberay_tries_again(kube: Cluster, operator: Operator) -> None:
    """The log of the first attempt is deleted with its pod; what it said last does not count."""
    heard = hear(
        kube, operator.start,
        lambda: operator.say(plan(), trial("a", "e2e", 0), end(3, "infrastructure", "head lost")),
        operator.retry, lambda: operator.say(plan(), trial("b", "e2e", 1), end()), operator.finish,
    )  # fmt: skip
    assert states(heard) == ["starting", "running", "retrying", "starting", "running", "finished"]
    assert lines(heard) == [
        plan(), trial("a", "e2e", 0), end(3, "infrastructure", "head lost"),
        plan(), trial("b", "e2e", 1), end(),
    ]  # fmt: skip
    assert outcome(heard).exit_code == 0


def test_what_an_attempt_was_lost_to_is_said_and_not_held_against_the_next(
    kube: Cluster, operator: Operator
) -> None:
    def run_out_of_memory() -> None:
        killed = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
        operator.store.update("pods", f"{HANDLE}-head1", status=running("ray-head", **killed))

    heard = hear(
        kube, operator.start, run_out_of_memory, operator.retry,
        lambda: operator.finish("FAILED", "Failed", message="something else"),
    )  # fmt: skip
    (note,) = [one.text for one in heard if isinstance(one, Note)]
    assert note.startswith(f"the attempt before: the head pod `{HANDLE}-head1` ran out of memory")
    assert outcome(heard).message == "the run failed: something else"


def test_somebody_else_cancels_it(kube: Cluster, operator: Operator) -> None:
    heard = hear(
        kube, operator.start, lambda: operator.say(plan()),
        lambda: operator.store.delete("pods", operator.submitter),
        lambda: operator.store.delete("rayjobs", HANDLE),
    )  # fmt: skip
    assert outcome(heard).exit_code == 3
    assert outcome(heard).message == f"run `{HANDLE}` was cancelled: its RayJob is gone"


def test_somebody_else_puts_a_new_run_in_its_place(kube: Cluster, operator: Operator) -> None:
    def replace() -> None:
        operator.say(end(3, "infrastructure", "no"))
        operator.finish("FAILED", "Suspended")
        operator.store.delete("rayjobs", HANDLE)
        operator.add(ray_job())

    heard = hear(kube, operator.start, replace)
    assert outcome(heard).exit_code == 3
    assert "running" not in states(heard)[2:]


def test_what_a_run_before_it_said_is_not_heard(kube: Cluster, operator: Operator) -> None:
    """Its pods have the same labels, and go away in the background."""
    operator.start()
    operator.say(plan(), end(1, "trials", "of the run before"))
    operator.store.delete("rayjobs", HANDLE)
    later = "2026-11-24T12:00:02Z"
    operator.add(ray_job(creationTimestamp=later))
    heard = hear(kube, operator.start, lambda: operator.say(plan(), end()), operator.finish)
    assert lines(heard) == [plan(), end()]
    assert outcome(heard).exit_code == 0


def test_kuberay_misses_the_end(kube: Cluster, operator: Operator) -> None:
    heard = hear(kube, operator.start, lambda: operator.say(plan(), end(1, "trials", "one")))
    assert states(heard) == ["starting", "running"]
    assert outcome(heard).exit_code == 1


def test_an_error_that_would_only_be_repeated_is_not_waited_for(
    kube: Cluster, operator: Operator
) -> None:
    heard = hear(
        kube, operator.start, lambda: operator.say(plan(), end(2, "input", "no such corpus")),
        lambda: operator.status(jobDeploymentStatus="Retrying"),
    )  # fmt: skip
    assert states(heard) == ["starting", "running", "retrying"]
    assert outcome(heard).message == "no such corpus"


def test_a_mistake_fails_at_once(kube: Cluster, operator: Operator) -> None:
    """The driver has its Ray job stopped, which KubeRay takes for complete."""
    heard = hear(
        kube, operator.start, lambda: operator.say(plan(), end(2, "input", "no such corpus")),
        lambda: operator.finish("STOPPED"),
    )  # fmt: skip
    assert states(heard) == ["starting", "running", "failed"]
    assert outcome(heard) == Outcome(
        exit_code=2, cause="input", message="no such corpus", hint="mend it"
    )


def test_why_it_waits_is_said_once_and_when_it_changes(kube: Cluster, operator: Operator) -> None:
    head = f"{HANDLE}-head1"

    def unscheduled(message: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "message": message}
        operator.store.update("pods", head, status={"phase": "Pending", "conditions": [condition]})

    def run() -> None:
        operator.store.delete("pods", head)
        operator.start()

    heard = hear(
        kube, lambda: operator.status(jobDeploymentStatus="Initializing"),
        lambda: operator.add(pod(head, "head")),
        lambda: unscheduled("0/3 nodes are available: 3 Insufficient memory."),
        lambda: None,
        lambda: unscheduled("0/3 nodes are available: 3 Insufficient cpu."),
        run, lambda: operator.say(end()), operator.finish,
    )  # fmt: skip
    reasons = [one.reason.sentence for one in heard if isinstance(one, Waiting) and one.reason]
    lacks = [sentence.rpartition("Insufficient ")[2] for sentence in reasons]
    assert [lack for lack in lacks if lack in {"memory", "cpu"}] == ["memory", "cpu"]
    assert Waiting(reason=None) in heard


def test_a_worker_that_waits_while_the_driver_is_quiet(kube: Cluster, operator: Operator) -> None:
    name = f"{HANDLE}-worker1"

    def wait() -> None:
        operator.add(pod(name, "worker", labels={"ray.io/group": "gpu-a100"}))
        said = "pod didn't trigger scale-up: 1 max node group size reached"
        condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}
        operator.store.update("pods", name, status={"phase": "Pending", "conditions": [condition]})
        operator.add(event("Pod", name, "NotTriggerScaleUp", said))

    heard = hear(
        kube, operator.start, wait, lambda: None, lambda: operator.say(end()), operator.finish
    )
    (reason,) = {one.reason.sentence for one in heard if isinstance(one, Waiting) and one.reason}
    assert "no node of pool `gpu-a100` fits worker pod" in reason
    assert "max node group size reached" in reason


def test_workers_that_a_quota_does_not_let_in(kube: Cluster, operator: Operator) -> None:
    """There is no pod that could be pending."""
    quota = 'pods "x" is forbidden: exceeded quota: gpus, used: 8, limited: 8'
    worker = f"{HANDLE}-worker1"

    def refuse() -> None:
        operator.add(event("RayCluster", f"{HANDLE}-abc", "FailedToCreateWorkerPod", quota))

    def let_in() -> None:
        operator.add(pod(worker, "worker", running("ray-worker")))

    heard = hear(
        kube, operator.start, refuse, lambda: None, let_in, lambda: None,
        lambda: operator.say(end()), operator.finish,
    )  # fmt: skip
    told = [one.reason and one.reason.sentence for one in heard if isinstance(one, Waiting)]
    assert told == ["quota `gpus` of the namespace is used up: used: 8, limited: 8", None]


def test_what_killed_it_is_remembered_after_the_pod_is_gone(
    kube: Cluster, operator: Operator
) -> None:
    def run_out_of_memory() -> None:
        killed = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
        operator.store.update("pods", f"{HANDLE}-head1", status=running("ray-head", **killed))

    heard = hear(
        kube, operator.start, run_out_of_memory,
        lambda: operator.finish("FAILED", "Failed", message="job driver died"),
    )  # fmt: skip
    assert "the head pod `tiny-0123abcd-head1` ran out of memory" in str(outcome(heard).message)
    assert "`head.memory`" in str(outcome(heard).hint)


def test_a_run_that_has_ended_is_told_from_its_beginning(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.say(plan(), end())
    operator.finish()
    heard = hear(kube)
    assert (states(heard), lines(heard)) == (["finished"], [plan(), end()])


def test_a_run_without_a_log_left(kube: Cluster, operator: Operator) -> None:
    operator.start()
    operator.finish()
    operator.store.delete("pods", operator.submitter)
    heard = hear(kube)
    assert (lines(heard), outcome(heard).exit_code) == ([], 0)


def test_a_token_that_expires_ends_following_with_words(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    operator.start()
    operator.say("one")
    api.fail("watch", status=401, times=100_000)
    api.watch_s = 0.1
    with pytest.raises(LaunchError, match="a token has expired") as caught:
        [*follow(kube, HANDLE, replace(QUICK, forgetful_s=0.5))]
    assert "a run that was submitted goes on" in str(caught.value.hint)


def test_events_that_may_not_be_seen(kube: Cluster, api: ApiServer) -> None:
    api.forbidden.add(("list", "events"))
    assert events_of(kube, get_run(kube, HANDLE)) == []


def test_events_of_other_runs(kube: Cluster, operator: Operator) -> None:
    operator.add(event("Pod", "another-run-head", "FailedScheduling", "no"))
    mine = operator.add(event("Workload", f"rayjob-{HANDLE}-1a2b3", "Pending", "no quota"))
    operator.add(event("Job", HANDLE, "FailedCreate", "of a run before it", "11:59:59"))
    assert events_of(kube, get_run(kube, HANDLE)) == [mine]


def test_no_such_run(kube: Cluster) -> None:
    with pytest.raises(LaunchError, match="there is no run `another`"):
        next(follow(kube, "another"))


def test_who_stops_listening_leaves_no_thread(kube: Cluster, operator: Operator) -> None:
    operator.start()
    story: Iterator[Heard] = follow(kube, HANDLE, QUICK)
    next(story)
    story.close()  # type: ignore[attr-defined]
    operator.say("a line that wakes the thread which reads the log")
    operator.status(jobStatus="RUNNING")
    operator.finish()
    deadline = time.monotonic() + 8.0
    while time.monotonic() < deadline and any("pricon_to" in one.name for one in threads()):
        time.sleep(0.05)
    assert not any("pricon_to" in one.name for one in threads())


def test_two_laptops_follow_the_same_run(
    kube: Cluster, operator: Operator, api: ApiServer, tmp_path: Path
) -> None:
    other = connect(tmp_path, api.url)
    both: list[list[Heard]] = []
    workers = [
        Thread(target=lambda one=one: both.append([*follow(one, HANDLE, QUICK)]))
        for one in (kube, other)
    ]
    for worker in workers:
        worker.start()
    operator.start()
    operator.say("a", "b", end())
    operator.finish()
    for worker in workers:
        worker.join()
    assert [lines(heard) for heard in both] == [["a", "b", end()]] * 2
