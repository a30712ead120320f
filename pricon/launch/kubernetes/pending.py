"""Why a run waits, in one sentence: the first cause, out of what Kubernetes says about its objects.

Pure functions over dicts. A cause is looked for where runs pass first: the queue, admission, then
pods (head, submitter, workers), and there from what will not mend itself to what only takes time.
"""

import re
from collections.abc import Iterator, Sequence

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.pods import (
    Reason,
    about,
    asks_for,
    by_role,
    condition,
    message_of,
    name_of,
    phase_of,
    pool_of,
    role_of,
    waits,
    when,
)
from pricon.launch.kubernetes.rayjob import QUEUE_LABEL
from pricon.launch.kubernetes.runs import state_of

_CREATION = re.compile(r"^(Failed)?(To)?Creat|^SuccessfulCreate", re.IGNORECASE)
_GANG = re.compile(r"pod ?group|gang|minmember|minimum ?available", re.IGNORECASE)
_QUOTA = re.compile(r"exceeded quota: ([^,]+), (.*)")
_POLICY = re.compile(r'violates PodSecurity "([^"]+)":? ?(.*)')
_NOT_FOUND = re.compile(r"not found|manifest unknown|does not exist|404", re.IGNORECASE)
_CREDENTIALS = re.compile(
    r"unauthorized|denied|authentication|authoriz|credential|40[13]", re.IGNORECASE
)
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
          "RegistryUnavailable"}  # fmt: skip
_AWAY = re.compile(
    r"\d+ node\(s\) (were unschedulable|had (untolerated )?taint "
    r"\{node\.(cloudprovider\.)?kubernetes\.io/[^}]*\}(, that the pod didn't tolerate)?)"
)
"""Nodes that are broken, emptied or new: Kubernetes' own taints are no matter of tolerations."""
_ANY_TAINT = "untolerated taint(s)"
"""What schedulers of 1.34 and later say; of whom these taints are they do not."""
_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found')
_MISSING = re.compile(r'(configmap|secret|persistentvolumeclaim) "([^"]+)" not found')


def why_pending(ray_job: Object, pods: Sequence[Object], events: Sequence[Object]) -> Reason | None:
    """Why a run, or a part of it, does not go on; None where everything that should run does.

    Args:
        ray_job: of the run.
        pods: of the run.
        events: of the run's objects.
    """
    match state_of(ray_job):
        case "queued":
            return _queue(ray_job, events)
        case "stopping":
            return None
    waiting = [pod for pod in by_role(pods) if phase_of(pod) == "Pending"]
    refused = _not_created(ray_job, events)
    if refused is not None:
        return refused
    causes = [cause for pod in waiting for cause in _pod(pod, about(events, name_of(pod)))]
    if causes:
        return min(causes, key=lambda cause: cause[0])[1]
    if not pods and not ray_job.get("status"):
        return Reason(
            sentence="KubeRay has not looked at the run yet",
            hint="if this stays: is the KubeRay operator running, and watching this namespace?",
        )
    return None


def _queue(ray_job: Object, events: Sequence[Object]) -> Reason:
    queue = (ray_job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    if not queue:
        return Reason(
            sentence="the run is suspended",
            hint="somebody set `spec.suspend` of its RayJob; setting it to false lets it go on",
        )
    said = [event for event in events if event["involvedObject"].get("kind") == "Workload"]
    for event in sorted(said, key=when, reverse=True):
        if event.get("reason") not in {"QuotaReserved", "Admitted"}:
            return Reason(
                sentence=f"waits in queue `{queue}`: {message_of(event)}",
                hint="it starts by itself when others have finished; `resources.queue` names "
                "another queue",
            )
    return Reason(
        sentence=f"waits in queue `{queue}`",
        hint=f"if this stays: does the LocalQueue `{queue}` exist, and is Kueue running?",
    )


def _not_created(ray_job: Object, events: Sequence[Object]) -> Reason | None:
    """What keeps pods or objects of the run from being created, where that was said last."""
    last: dict[tuple[str, str], Object] = {}
    for event in sorted(events, key=when):
        involved = event["involvedObject"]
        if involved.get("kind") != "Pod" and _CREATION.match(str(event.get("reason", ""))):
            last[involved.get("kind", ""), involved.get("name", "")] = event
    for event in last.values():
        if str(event["reason"]).startswith("Failed"):
            return _refused(message_of(event))
    return None


def _refused(message: str) -> Reason:
    if quota := _QUOTA.search(message):
        return Reason(
            sentence=f"quota `{quota[1]}` of the namespace is used up: {quota[2]}",
            hint="wait until other runs have ended (`pricon list`), ask for less in `resources`, "
            "or have the quota raised",
        )
    if policy := _POLICY.search(message):
        return Reason(
            sentence=f"Pod Security `{policy[1]}` does not admit a pod of the run: {policy[2]}",
            hint="this is for the cluster's owner: pods of pricon pass `restricted`, so something "
            "changes them on their way",
        )
    if "priorityclass" in message.lower() or "PriorityClass" in message:
        return Reason(
            sentence=f"the priority class does not exist: {message}",
            hint="`kubectl get priorityclass` lists them; the profile or `resources` names one",
        )
    if account := _ACCOUNT.search(message):
        return Reason(
            sentence=f"the service account `{account[1]}` of the run's pods does not exist",
            hint="`serviceAccount` of the profile names it; the chart makes the one that it names",
        )
    return Reason(
        sentence=f"a part of the run is not admitted: {message}",
        hint="ask the cluster's owner; the sentence above names the rule",
    )


def _pod(pod: Object, events: Sequence[Object]) -> Iterator[tuple[int, Reason]]:
    """Causes of a pod that is pending, each with its rank: lower is nearer to the root."""
    what = f"{role_of(pod)} pod `{name_of(pod)}`"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield _unscheduled(pod, what, " ".join(str(scheduled.get("message", "")).split()), events)
        return
    for container, reason, message in waits(pod):
        if reason in _IMAGE:
            yield 0, _image(str(container["image"]), message, events)
        elif reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
            yield 0, _config(what, message)
        elif reason == "CrashLoopBackOff":
            yield (
                0,
                Reason(
                    sentence=f"container `{container['name']}` of {what} ends again and again",
                    hint=f"`kubectl logs --previous {name_of(pod)} {container['name']}` says why",
                ),
            )
    for event in events:
        if event.get("reason") in {"FailedMount", "FailedAttachVolume"}:
            yield 1, _volume(what, message_of(event))
            break
    pulled = events[0] if events else {}
    if pulled.get("reason") == "Pulling":
        yield 4, Reason(sentence=f"{what} starts: {message_of(pulled)}")
    else:
        yield 5, Reason(sentence=f"{what} starts")


def _unscheduled(
    pod: Object, what: str, message: str, events: Sequence[Object]
) -> tuple[int, Reason]:
    """No node was found for a pod: what nodes lack, and what the autoscaler does about it."""
    pool = pool_of(pod)
    where = f" of pool `{pool}`" if pool else ""
    for event in events:
        if event.get("reason") == "TriggeredScaleUp":
            return 3, Reason(
                sentence=f"{what} waits for a new node{where}: {message_of(event)}",
                hint="nodes with GPUs take some minutes to come",
            )
        if event.get("reason") in {"NotTriggerScaleUp", "FailedScaling", "FailedScaleUp"}:
            said = message_of(event)
            return 0, Reason(
                sentence=f"no node{where} fits {what} ({_wanted(pod)}), and the autoscaler adds "
                f"none: {said}",
                hint="ask for less in `resources`, name another `resources.pool`, or have the "
                "cluster's owner raise the limit of the pool",
            )
    if missing := _MISSING.search(message):
        return 0, _absent(what, missing)
    if _GANG.search(message) or condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        return 2, Reason(sentence=f"{what} waits until all pods of the run fit: {message}")
    lacks = message.split(" preemption:")[0].split(" no new claims")[0].strip().rstrip(".,")
    return 0, Reason(
        sentence=f"no node{where} fits {what} ({_wanted(pod)}): {lacks or 'not looked at yet'}",
        hint=_hint_for(lacks, pod),
    )


def _wanted(pod: Object) -> str:
    """What a pod asks of a node."""
    asked = asks_for(pod)
    names = [
        *sorted({"cpu", "memory"} & asked.keys()),
        *sorted(name for name in asked if "/" in name),
    ]
    parts = [f"{name} {asked[name]}" for name in names]
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    parts += [f"label {key}={value}" for key, value in sorted(selector.items())]
    return ", ".join(parts) or "no requests"


def _hint_for(lacks: str, pod: Object) -> str:
    if role_of(pod) == "submitter":
        return "it takes any node that has room and no taints; one must be free of them"
    name = "head" if role_of(pod) == "head" else f"pools.{pool_of(pod)}"
    others = _AWAY.sub("", lacks)
    match ("Insufficient" in others, "node affinity" in others, "taint" in others):
        case (False, True, True):  # the nodes of others, such as those of the control plane
            return (
                f"is there a node with the labels of `{name}.nodeSelector` of the profile, and do "
                f"its `tolerations` name the taints of this node?"
            )
        case (False, True, False):
            return f"is there a node with the labels of `{name}.nodeSelector` of the profile?"
        case (False, False, True) if _ANY_TAINT in others:
            return (
                f"nodes are not ready, or have a taint that `{name}.tolerations` of the profile "
                "does not name; `kubectl describe nodes` shows which"
            )
        case (False, False, True):
            return f"nodes have a taint that `{name}.tolerations` of the profile does not name"
        case _ if others != lacks and not others.partition(": ")[2].strip(" ,"):
            return (
                "nodes that would do are not ready, or were cordoned; the cluster's owner sees "
                "in `kubectl get nodes` which"
            )
    less = "`resources` of the job may ask for less, or name another pool"
    if name == "head":
        less = "`head` of the profile says how large it must be"
    return f"it waits until others have ended, where a node is large enough at all; {less}"


def _image(image: str, message: str, events: Sequence[Object]) -> Reason:
    said = [message_of(event) for event in events if event.get("reason") == "Failed"]
    full = " ".join([*said, message])
    if _CREDENTIALS.search(full):
        why = "the registry wants other credentials"
        hint = "`imagePullSecrets` of the profile must name a secret for this registry"
    elif _NOT_FOUND.search(full):
        why = "the registry does not have it"
        hint = "`image` of the profile must name one that exists, by tag or digest"
    else:
        why = message or "the registry does not answer"
        hint = "can nodes reach the registry, and is the name right?"
    return Reason(sentence=f"image `{image}` cannot be pulled: {why}", hint=hint)


def _config(what: str, message: str) -> Reason:
    missing = _MISSING.search(message)
    if missing:
        return _absent(what, missing)
    return Reason(
        sentence=f"a container of {what} cannot be made: {message}",
        hint="ask the cluster's owner; the profile names what pods use",
    )


def _volume(what: str, message: str) -> Reason:
    missing = _MISSING.search(message)
    if missing:
        return _absent(what, missing)
    return Reason(
        sentence=f"a volume of {what} cannot be mounted: {message}",
        hint="ask the cluster's owner about storage on this node",
    )


def _absent(what: str, missing: "re.Match[str]") -> Reason:
    kinds = {"configmap": "ConfigMap", "secret": "Secret"}
    kind = kinds.get(missing[1], "PersistentVolumeClaim")
    return Reason(
        sentence=f"{what} waits for {kind} `{missing[2]}`, which does not exist",
        hint="submitting the job again creates it"
        if kind == "ConfigMap"
        else "the cluster's owner creates it; the profile names it",
    )
