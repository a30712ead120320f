"""How a run ended, and what ended it: the driver's own words first, then those of its objects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pricon.errors import LaunchError
from pricon.launch.bulletins import EndBulletin
from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.pods import (
    Reason,
    about,
    by_role,
    condition,
    containers,
    limit_of,
    message_of,
    name_of,
    phase_of,
    pool_of,
    role_of,
)
from pricon.launch.kubernetes.runs import State, state_of

_TAKEN = {
    "PreemptionByScheduler": "made room for a pod of higher priority",
    "DeletionByTaintManager": "its node was taken away",
    "EvictionByEvictionAPI": "its node was drained",
    "TerminationByKubelet": "its node ran out of room",
    "DeletionByPodGC": "its node is gone",
}
"""Reason of a pod's condition `DisruptionTarget` -> what happened."""


_ASK_OWNER = (
    "submit the job again: it goes on from its checkpoints; if it ends so again, whoever owns the "
    "cluster must see that network policies let KubeRay's operator in (`kuberay.namespace` of the "
    "chart)"
)
_UNSEEN = {
    "JobStatusCheckTimeoutExceeded": Reason(
        sentence="KubeRay could not ask its head for minutes how it goes", hint=_ASK_OWNER
    ),
    "JobDeploymentStatusTransitionGracePeriodExceeded": Reason(
        sentence="its log ended, and KubeRay did not hear from its head how", hint=_ASK_OWNER
    ),
    "SubmissionFailed": Reason(
        sentence="the pod that submits it and reads its log failed, so KubeRay gave it up",
        hint="submit the job again: it goes on from its checkpoints",
    ),
}
"""Reason of a RayJob -> what happened, where nothing of the run itself went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Args:
        exit_code: as documented for `pricon-submit`.
        cause: one word.
        message: what went wrong, or None.
        hint: how to go on, or None.
    """

    exit_code: int
    cause: str
    message: str | None = None
    hint: str | None = None


def is_final(end: EndBulletin | None) -> bool:
    """Whether another attempt would only say the same."""
    return end is not None and end.is_final


def state_told(ray_job: Object, end: EndBulletin | None) -> State:
    """The state of a run, as its driver's last words put it.

    A driver that has failed for good has its Ray job stopped, so that KubeRay does not try again.
    """
    state = state_of(ray_job)
    has_failed = end is not None and end.is_final and end.exit_code != 0
    return "failed" if state == "stopped" and has_failed else state


def outcome_of(ray_job: Object, end: EndBulletin | None, reason: Reason | None = None) -> Outcome:
    """The outcome of a run that has ended.

    Args:
        ray_job: its last state.
        end: the driver's last bulletin, or None where it could not say one.
        reason: what ended it, from `why_ended`.
    """
    status = ray_job.get("status") or {}
    if end is not None:
        message, hint = end.message, end.hint
        if reason is not None and not is_final(end):
            message = f"{message or end.cause}\n  {reason.sentence}"
            hint = reason.hint or hint
        return Outcome(exit_code=end.exit_code, cause=end.cause, message=message, hint=hint)
    again = "submit the job again: finished trials are kept, and it goes on from there"
    match state_of(ray_job):
        case "finished":
            return Outcome(exit_code=0, cause="done")
        case "stopped":
            return Outcome(
                exit_code=LaunchError.exit_code,
                cause="interrupted",
                message="the run was stopped, by somebody or by its driver, whose words are gone",
                hint=again,
            )
    if reason is None:
        said = " ".join(str(status.get("message") or "").split())
        reason = Reason(sentence=said or "the driver ended without a word")
    return Outcome(
        exit_code=LaunchError.exit_code,
        cause="infrastructure",
        message=f"the run failed: {reason.sentence}",
        hint=reason.hint or again,
    )


def why_ended(ray_job: Object, pods: Sequence[Object], events: Sequence[Object]) -> Reason | None:
    """What ended a run or a part of it, or None where nothing says it.

    Args:
        ray_job: its last state.
        pods: as they were last seen; those that are gone by now as well.
        events: of the run's objects.
    """
    status, spec = ray_job.get("status") or {}, ray_job.get("spec") or {}
    if status.get("reason") == "DeadlineExceeded":
        limit = spec.get("activeDeadlineSeconds")
        return Reason(
            sentence=f"it took longer than its limit of {limit} s",
            hint="submit the job again: it goes on from its checkpoints; `timeLimitS` of the "
            "profile is the limit",
        )
    if status.get("reason") == "PreRunningDeadlineExceeded":
        return Reason(
            sentence=f"it did not start within {spec.get('preRunningDeadlineSeconds')} s",
            hint="`pricon status` of a new submission says what it waits for; `pendingLimitS` of "
            "the profile is the limit",
        )
    for find in (_killed_for_memory, _taken, _broken):
        for pod in by_role(pods):
            for reason in find(pod, events):
                return reason
    return _unseen(status)


def _unseen(status: Object) -> Reason | None:
    reason = _UNSEEN.get(str(status.get("reason")))
    said = " ".join(str(status.get("message") or "").split())
    if reason is None or not said:
        return reason
    return Reason(sentence=f"{reason.sentence} ({said})", hint=reason.hint)


def _killed_for_memory(pod: Object, events: Sequence[Object]) -> Iterator[Reason]:
    for container in containers(pod):
        for state in (container.get("state"), container.get("lastState")):
            if ((state or {}).get("terminated") or {}).get("reason") == "OOMKilled":
                limit = limit_of(pod, container["name"])
                yield Reason(
                    sentence=f"{_who(pod)} ran out of memory (OOM-killed; its limit is {limit})",
                    hint=_more_memory(pod),
                )


def _more_memory(pod: Object) -> str:
    pool = pool_of(pod)
    if role_of(pod) == "head":
        return "have `head.memory` of the profile raised, then submit the job again"
    where = f"pools.{pool}.memory" if pool else "memory"
    return (
        f"lower `resources.pack_members` in the job or have `{where}` of the profile raised, then "
        "submit the job again"
    )


def _taken(pod: Object, events: Sequence[Object]) -> Iterator[Reason]:
    """A pod that was preempted or evicted: nobody's fault, and the next try may go well."""
    hint = "submit the job again: it goes on from its checkpoints"
    status = pod.get("status") or {}
    disruption = condition(pod, "DisruptionTarget")
    if disruption.get("status") == "True":
        word = _TAKEN.get(str(disruption.get("reason")), "it was in the way")
        said = " ".join(str(disruption.get("message") or "").split())
        yield Reason(sentence=f"{_who(pod)} was taken away: {word} ({said})", hint=hint)
    elif status.get("reason") in {"Evicted", "Preempting", "NodeLost", "NodeShutdown"}:
        said = " ".join(str(status.get("message") or "").split())
        yield Reason(sentence=f"{_who(pod)} was evicted: {said}", hint=hint)
    for event in about(events, name_of(pod)):
        if event.get("reason") in {"Preempted", "Evicted", "TaintManagerEviction", "NodeNotReady"}:
            said = message_of(event)
            yield Reason(sentence=f"{_who(pod)} was taken away: {said}", hint=hint)


def _broken(pod: Object, events: Sequence[Object]) -> Iterator[Reason]:
    """A container that ended by itself."""
    if phase_of(pod) != "Failed" and role_of(pod) != "head":
        return
    for container in containers(pod):
        for state in (container.get("state"), container.get("lastState")):
            ended = (state or {}).get("terminated") or {}
            code = ended.get("exitCode", 0)
            if code and role_of(pod) != "submitter":  # it fails whenever the driver does
                yield Reason(sentence=f"{_who(pod)} was lost (exit code {code})")


def _who(pod: Object) -> str:
    return f"the {role_of(pod)} pod `{name_of(pod)}`"
