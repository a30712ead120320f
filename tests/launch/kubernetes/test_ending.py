"""How a run ended, and what ended it."""

from typing import Any

import pytest

from pricon.launch.bulletins import Cause, EndBulletin
from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.ending import Outcome, is_final, outcome_of, state_told, why_ended
from pricon.launch.kubernetes.pods import Reason
from tests.launch.kubernetes.operator import HANDLE, event, pod, ray_job, running

NAME = f"{HANDLE}-worker1"


def ended(**status: Any) -> Object:
    return ray_job() | {"status": {"jobDeploymentStatus": "Failed", **status}}


def said(exit_code: int, cause: Cause, message: str | None = None) -> EndBulletin:
    return EndBulletin(exit_code=exit_code, cause=cause, message=message)


def dead(role: str, reason: str, code: int, state: str = "state") -> Object:
    container = {"name": f"ray-{role}", "state": {"running": {}}}
    container[state] = {"terminated": {"reason": reason, "exitCode": code}}
    status = {"phase": "Failed", "containerStatuses": [container]}
    return pod(NAME, role, status, labels={"ray.io/group": "gpu-a100"})


@pytest.mark.parametrize(
    ("code", "cause"), [(0, "done"), (1, "trials"), (2, "input"), (70, "defect")]
)
def test_the_driver_s_own_words_count(code: int, cause: Cause) -> None:
    outcome = outcome_of(ended(message="no"), said(code, cause, "why"), Reason(sentence="else"))
    assert outcome == Outcome(exit_code=code, cause=cause, message="why")


def test_what_the_driver_cannot_know_is_added() -> None:
    reason = Reason(sentence="the worker pod `w` ran out of memory", hint="more")
    outcome = outcome_of(ended(), said(3, "infrastructure", "lane 0 lost a worker"), reason)
    assert outcome.message == "lane 0 lost a worker\n  the worker pod `w` ran out of memory"
    assert outcome.hint == "more"


def test_without_words_of_the_driver() -> None:
    done = {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}}
    assert outcome_of(ray_job() | done, None) == Outcome(exit_code=0, cause="done")
    stopped = {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}}
    found = outcome_of(ray_job() | stopped, None)
    assert found.exit_code == 3
    assert str(found.message).startswith("the run was stopped, by somebody or by its driver")
    assert "goes on from there" in str(found.hint)
    assert outcome_of(ended(message="a\n b"), None).message == "the run failed: a b"
    assert outcome_of(ended(), None).message == "the run failed: the driver ended without a word"
    found = outcome_of(ended(message="vague"), None, Reason(sentence="sharp", hint="do"))
    assert (found.message, found.hint) == ("the run failed: sharp", "do")


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (said(2, "input"), "failed"), (said(70, "defect"), "failed"), (said(1, "trials"), "failed"),
        (said(130, "interrupted"), "stopped"), (said(3, "infrastructure"), "stopped"),
        (said(0, "done"), "stopped"), (None, "stopped"),
    ],
)  # fmt: skip
def test_who_gives_up_has_failed(end: EndBulletin | None, state: str) -> None:
    """Its Ray job was stopped because KubeRay tries again whatever has failed."""
    stopped = {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}}
    assert state_told(ray_job() | stopped, end) == state
    running = {"status": {"jobDeploymentStatus": "Running"}}
    assert state_told(ray_job() | running, end) == "running"


def why(run: Object, *pods: Object, events: tuple[Object, ...] = ()) -> Reason:
    found = why_ended(run, pods, events)
    assert found is not None
    return found


@pytest.mark.parametrize("state", ["state", "lastState"])
@pytest.mark.parametrize(
    ("role", "hint"),
    [("head", "`head.memory` of the profile"), ("worker", "`pools.gpu-a100.memory` of the profile"),
     ("submitter", "`memory` of the profile")],
)  # fmt: skip
def test_out_of_memory(state: str, role: str, hint: str) -> None:
    killed = dead(role, "OOMKilled", 137, state)
    killed["spec"]["containers"][0]["name"] = f"ray-{role}"
    found = why(ended(), killed)
    expected = f"the {role} pod `{NAME}` ran out of memory (OOM-killed; its limit is 16Gi)"
    assert found.sentence == expected
    assert hint in str(found.hint)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("PreemptionByScheduler", "made room for a pod of higher priority"),
        ("EvictionByEvictionAPI", "its node was drained"),
        ("DeletionByTaintManager", "its node was taken away"),
        ("SomethingNewer", "it was in the way"),
    ],
)
def test_taken_away(reason: str, word: str) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "node"}
    found = why(ended(), pod(NAME, "worker", {"phase": "Failed", "conditions": [condition]}))
    assert found.sentence == f"the worker pod `{NAME}` was taken away: {word} (node)"
    assert "goes on from its checkpoints" in str(found.hint)


def test_evicted() -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "low on ephemeral-storage"}
    found = why(ended(), pod(NAME, "head", status))
    assert found.sentence == f"the head pod `{NAME}` was evicted: low on ephemeral-storage"


def test_an_event_tells_of_a_pod_that_is_gone() -> None:
    preempted = event("Pod", NAME, "Preempted", "Preempted by pod x on node y")
    found = why(ended(), pod(NAME, "worker", running("ray-worker")), events=(preempted,))
    assert found.sentence.endswith("was taken away: Preempted by pod x on node y")


def test_the_head_was_lost() -> None:
    assert why(ended(), dead("head", "Error", 139)).sentence == (
        f"the head pod `{NAME}` was lost (exit code 139)"
    )
    assert why_ended(ended(), [dead("submitter", "Error", 1)], []) is None, (
        "fails as the driver did"
    )
    assert why_ended(ended(), [pod(NAME, "worker", running("ray-worker"))], []) is None


def test_memory_is_the_cause_where_much_is_broken() -> None:
    broken = dead("head", "Error", 1)
    killed = dead("worker", "OOMKilled", 137)
    assert "ran out of memory" in why(ended(), broken, killed).sentence


def test_it_took_too_long() -> None:
    run = ended(reason="DeadlineExceeded")
    run["spec"]["activeDeadlineSeconds"] = 3600
    found = why(run)
    assert found.sentence == "it took longer than its limit of 3600 s"
    assert "`timeLimitS`" in str(found.hint)


def test_it_did_not_start_in_time() -> None:
    run = ended(reason="PreRunningDeadlineExceeded")
    run["spec"]["preRunningDeadlineSeconds"] = 60
    assert why(run).sentence == "it did not start within 60 s"
    assert "`pendingLimitS`" in str(why(run).hint)


@pytest.mark.parametrize(
    ("reason", "sentence", "hint"),
    [
        ("JobStatusCheckTimeoutExceeded", "KubeRay could not ask its head", "`kuberay.namespace`"),
        (
            "JobDeploymentStatusTransitionGracePeriodExceeded",
            "its log ended, and KubeRay did not hear from its head how",
            "`kuberay.namespace`",
        ),
        ("SubmissionFailed", "the pod that submits it and reads its log failed", "goes on"),
    ],
)
def test_kuberay_gave_it_up_though_nothing_of_it_failed(
    reason: str, sentence: str, hint: str
) -> None:
    found = why(ended(reason=reason))
    assert found.sentence.startswith(sentence)
    assert hint in str(found.hint)
    told = why(ended(reason=reason, message="the head\n did not answer"))
    assert told == Reason(sentence=f"{found.sentence} (the head did not answer)", hint=found.hint)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [("done", True), ("trials", True), ("input", True), ("defect", True), ("infrastructure", False),
     ("interrupted", False)],
)  # fmt: skip
def test_what_another_attempt_would_only_repeat(cause: Cause, expected: bool) -> None:
    assert is_final(said(1, cause)) is expected
    assert is_final(None) is False
