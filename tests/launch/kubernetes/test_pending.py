"""Why a run waits: one sentence for each thing that can hold it, with the words of Kubernetes."""

from typing import Any

import pytest

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.pending import why_pending
from pricon.launch.kubernetes.pods import Reason
from tests.launch.kubernetes.operator import HANDLE, IMAGE, event, pod, ray_job, running

HEAD, WORKER, SUB = f"{HANDLE}-head", f"{HANDLE}-worker", f"{HANDLE}-sub"


def started(**status: Any) -> Object:
    return ray_job() | {"status": {"jobDeploymentStatus": "Initializing", **status}}


def why(pods: list[Object], *events: Object, run: Object | None = None) -> Reason:
    found = why_pending(run or started(), pods, events)
    assert found is not None
    return found


def waiting(name: str, role: str, reason: str, message: str = "") -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": f"ray-{role}", "image": IMAGE, "state": state}
    return pod(name, role, {"phase": "Pending", "containerStatuses": [container]})


def unscheduled(message: str, role: str = "worker") -> Object:
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    labels = {"ray.io/group": "gpu-a100"} if role == "worker" else {}
    return pod(WORKER, role, {"phase": "Pending", "conditions": [condition]}, labels)


def test_a_run_whose_pods_all_work_waits_for_nothing() -> None:
    pods = [pod(HEAD, "head", running("ray-head")), pod(SUB, "submitter", {"phase": "Succeeded"})]
    assert why_pending(started(), pods, []) is None


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 node(s) didn't match Pod's "
            "node affinity/selector. no new claims to deallocate, preemption: 0/5 nodes are "
            "available: 5 Preemption is not helpful for scheduling.",
            "waits until others have ended",
        ),
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
            "a node with the labels of `pools.gpu-a100.nodeSelector`",
        ),
        (
            "0/2 nodes are available: 2 node(s) had untolerated taint(s) {gpu: present}.",
            "a taint that `pools.gpu-a100.tolerations` of the profile does not name",
        ),
        (
            "0/4 nodes are available: 1 node(s) had untolerated taint "
            "{node-role.kubernetes.io/control-plane: }, 3 node(s) didn't match Pod's node "
            "affinity/selector. preemption: 0/4 nodes are available: 4 Preemption is not helpful "
            "for scheduling.",
            "a node with the labels of `pools.gpu-a100.nodeSelector` of the profile, and do its "
            "`tolerations` name the taints",
        ),
        (
            "0/3 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate, "
            "2 Insufficient nvidia.com/gpu.",
            "where a node is large enough at all",
        ),
        ("0/2 nodes are available: 2 Insufficient memory.", "waits until others have ended"),
        (
            "0/3 nodes are available: 2 node(s) were unschedulable, 1 node(s) had untolerated "
            "taint {node.kubernetes.io/not-ready: }.",
            "are not ready, or were cordoned",
        ),
        (
            "0/3 nodes are available: 2 node(s) were unschedulable, 1 node(s) had untolerated "
            "taint(s).",
            "are not ready, or have a taint that `pools.gpu-a100.tolerations` of the profile",
        ),
        (
            "0/3 nodes are available: 2 node(s) were unschedulable, 1 Too many pods.",
            "waits until others have ended",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint "
            "{node.ocs.openshift.io/storage: true}.",
            "a taint that `pools.gpu-a100.tolerations` of the profile does not name",
        ),
        (
            "0/2 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }, that "
            "the pod didn't tolerate, 1 node(s) had taint {gpu: a}, that the pod didn't tolerate.",
            "a taint that `pools.gpu-a100.tolerations` of the profile does not name",
        ),
    ],
)
def test_no_node_fits(message: str, hint: str) -> None:
    reason = why([unscheduled(message)])
    lacks = message.split(". ")[0].rstrip(".")
    assert reason.sentence == (
        f"no node of pool `gpu-a100` fits worker pod `{WORKER}` (cpu 4, memory 16Gi, "
        f"nvidia.com/gpu 1): {lacks}"
    )
    assert hint in str(reason.hint)


@pytest.mark.parametrize(
    ("role", "lacks", "hint"),
    [
        ("head", "2 Insufficient cpu", "`head` of the profile says how large it must be"),
        ("head", "1 node(s) had taint {a: b}, that the pod didn't tolerate", "`head.tolerations`"),
        ("submitter", "2 Insufficient cpu", "any node that has room and no taints"),
    ],
)
def test_the_size_of_a_head_is_none_of_the_job(role: str, lacks: str, hint: str) -> None:
    found = why([unscheduled(f"0/2 nodes are available: {lacks}.", role)])
    assert hint in str(found.hint)
    assert "`resources`" not in str(found.hint)


def test_what_a_pod_must_have_is_said() -> None:
    selective = unscheduled("0/1 nodes are available.", role="head")
    selective["spec"]["nodeSelector"] = {"gpu": "a100"}
    sentence = why([selective]).sentence
    assert sentence.startswith("no node fits head pod")
    assert "label gpu=a100" in sentence


@pytest.mark.parametrize("reason", ["NotTriggerScaleUp", "FailedScaling", "FailedScaleUp"])
def test_the_autoscaler_adds_no_node(reason: str) -> None:
    said = "pod didn't trigger scale-up: 1 max node group size reached"
    found = why(
        [unscheduled("0/5 nodes are available: 5 Insufficient cpu.")],
        event("Pod", WORKER, reason, said),
    )
    assert "fits worker pod" in found.sentence
    assert found.sentence.endswith(f"and the autoscaler adds none: {said}")
    assert "name another `resources.pool`" in str(found.hint)


def test_the_autoscaler_adds_a_node() -> None:
    found = why(
        [unscheduled("0/5 nodes are available: 5 Insufficient cpu.")],
        event("Pod", WORKER, "NotTriggerScaleUp", "no", "12:00:00"),
        event("Pod", WORKER, "TriggeredScaleUp", "[gpu-a100 0->1 (max: 4)]", "12:01:00"),
    )
    assert found.sentence == (
        f"worker pod `{WORKER}` waits for a new node of pool `gpu-a100`: [gpu-a100 0->1 (max: 4)]"
    )


def test_the_first_cause_and_not_the_summary_of_the_gang() -> None:
    gang = unscheduled("pod group is not ready, 2 Pending, 4 minAvailable")
    gang["metadata"]["name"] = "a-first-by-name"
    cause = waiting(WORKER, "worker", "ErrImagePull", "manifest unknown")
    assert "cannot be pulled" in why([gang, cause]).sentence
    assert "waits until all pods of the run fit: pod group is not ready" in why([gang]).sentence


def test_a_pod_that_is_held_back() -> None:
    held = unscheduled("Scheduling is blocked due to non-empty scheduling gates")
    held["status"]["conditions"][0]["reason"] = "SchedulingGated"
    assert "waits until all pods of the run fit: Scheduling is blocked" in why([held]).sentence


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
@pytest.mark.parametrize(
    ("message", "why_not", "hint"),
    [
        ("rpc error: manifest unknown", "the registry does not have it", "one that exists"),
        ("failed to resolve reference: not found", "the registry does not have it", "exists"),
        (
            "failed to authorize: 401 Unauthorized",
            "the registry wants other credentials",
            "`imagePullSecrets`",
        ),
        ("dial tcp: i/o timeout", "dial tcp: i/o timeout", "can nodes reach the registry"),
        ("", "the registry does not answer", "can nodes reach"),
    ],
)
def test_an_image_cannot_be_pulled(reason: str, message: str, why_not: str, hint: str) -> None:
    found = why([waiting(HEAD, "head", reason, message)])
    assert found.sentence == f"image `{IMAGE}` cannot be pulled: {why_not}"
    assert hint in str(found.hint)


def test_why_an_image_cannot_be_pulled_may_stand_in_an_event() -> None:
    back_off = waiting(HEAD, "head", "ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    said = event("Pod", HEAD, "Failed", "pull access denied, repository may require authorization")
    assert "wants other credentials" in why([back_off], said).sentence


def queued(queue: str | None = "team-a") -> Object:
    run = ray_job() | {"status": {"jobDeploymentStatus": "Suspended"}}
    run["spec"]["suspend"] = True
    if queue:
        run["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue
    return run


def test_waiting_in_the_queue() -> None:
    said = (
        "couldn't assign flavors to pod set gpu-a100: insufficient unused quota for nvidia.com/gpu "
        "in flavor a100, 4 more needed"
    )
    found = why([], event("Workload", f"rayjob-{HANDLE}-1", "Pending", said), run=queued())
    assert found.sentence == f"waits in queue `team-a`: {said}"
    assert "`resources.queue` names another" in str(found.hint)


def test_a_queue_that_says_nothing() -> None:
    found = why([], run=queued())
    assert found.sentence == "waits in queue `team-a`"
    assert "does the LocalQueue `team-a` exist" in str(found.hint)
    reserved = event("Workload", f"rayjob-{HANDLE}-1", "QuotaReserved", "Quota reserved")
    assert why([], reserved, run=queued()).sentence == "waits in queue `team-a`"


def test_suspended_by_hand() -> None:
    found = why([], run=queued(None))
    assert found.sentence == "the run is suspended"
    assert "`spec.suspend`" in str(found.hint)


@pytest.mark.parametrize(
    ("message", "sentence", "hint"),
    [
        (
            'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=4, '
            "used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8",
            "quota `gpus` of the namespace is used up: requested: requests.nvidia.com/gpu=4, used:",
            "`pricon list`",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot',
            "Pod Security `restricted:latest` does not admit a pod of the run: runAsNonRoot",
            "for the cluster's owner",
        ),
        (
            'pods "x" is forbidden: no PriorityClass with name urgent was found',
            "the priority class does not exist: ",
            "kubectl get priorityclass",
        ),
        (
            'pods "x" is forbidden: error looking up service account research/pricon-run: '
            'serviceaccount "pricon-run" not found',
            "the service account `pricon-run` of the run's pods does not exist",
            "`serviceAccount` of the profile",
        ),
        (
            'admission webhook "policy" denied the request: no',
            "a part of the run is not admitted: admission webhook",
            "names the rule",
        ),
    ],
)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("RayCluster", "FailedToCreateHeadPod"), ("RayCluster", "FailedToCreateWorkerPod"),
     ("Job", "FailedCreate"), ("RayJob", "FailedToCreateRayCluster")],
)  # fmt: skip
def test_not_admitted(kind: str, reason: str, message: str, sentence: str, hint: str) -> None:
    found = why([], event(kind, HANDLE, reason, message))
    assert found.sentence.startswith(sentence)
    assert hint in str(found.hint)


def test_what_was_not_admitted_and_is_by_now() -> None:
    failed = event("Job", HANDLE, "FailedCreate", "exceeded quota: q, used up", "12:00:00")
    created = event("Job", HANDLE, "SuccessfulCreate", "Created pod", "12:01:00")
    assert why_pending(started(), [], [failed, created]) is None


@pytest.mark.parametrize(
    ("kind", "word", "hint"),
    [
        ("configmap", "ConfigMap", "submitting the job again creates it"),
        ("secret", "Secret", "the cluster's owner creates it"),
    ],
)
def test_something_that_pods_name_is_missing(kind: str, word: str, hint: str) -> None:
    sentence = f"head pod `{HEAD}` waits for {word} `s3-keys`, which does not exist"
    config = waiting(HEAD, "head", "CreateContainerConfigError", f'{kind} "s3-keys" not found')
    assert why([config]) == Reason(sentence=sentence, hint=why([config]).hint)
    assert hint in str(why([config]).hint)
    said = f'MountVolume.SetUp failed for volume "job" : {kind} "s3-keys" not found'
    mount = why(
        [waiting(HEAD, "head", "ContainerCreating")], event("Pod", HEAD, "FailedMount", said)
    )
    assert mount.sentence == sentence


def test_a_volume_claim_that_is_missing() -> None:
    found = why([unscheduled('persistentvolumeclaim "cache" not found', role="head")])
    assert found.sentence.endswith("waits for PersistentVolumeClaim `cache`, which does not exist")


def test_a_volume_that_cannot_be_mounted() -> None:
    pods = [waiting(HEAD, "head", "ContainerCreating")]
    found = why(pods, event("Pod", HEAD, "FailedAttachVolume", "Multi-Attach error"))
    assert found.sentence == f"a volume of head pod `{HEAD}` cannot be mounted: Multi-Attach error"


def test_a_container_that_cannot_be_made() -> None:
    found = why([waiting(HEAD, "head", "CreateContainerError", "no such user")])
    assert found.sentence == f"a container of head pod `{HEAD}` cannot be made: no such user"


def test_a_container_that_ends_again_and_again() -> None:
    found = why([waiting(HEAD, "head", "CrashLoopBackOff")])
    assert found.sentence == f"container `ray-head` of head pod `{HEAD}` ends again and again"
    assert f"kubectl logs --previous {HEAD} ray-head" in str(found.hint)


def test_starting_takes_a_while() -> None:
    pods = [waiting(HEAD, "head", "ContainerCreating")]
    assert why(pods) == Reason(sentence=f"head pod `{HEAD}` starts")
    pulling = event("Pod", HEAD, "Pulling", f'Pulling image "{IMAGE}"')
    assert why(pods, pulling).sentence == f'head pod `{HEAD}` starts: Pulling image "{IMAGE}"'


def test_what_will_not_mend_itself_comes_before_what_takes_time() -> None:
    pods = [
        waiting(HEAD, "head", "ContainerCreating"),
        waiting(WORKER, "worker", "ImagePullBackOff", "manifest unknown"),
    ]
    assert "cannot be pulled" in why(pods).sentence


def test_the_head_comes_before_workers() -> None:
    pods = [
        waiting(WORKER, "worker", "CreateContainerError", "b"),
        waiting(HEAD, "head", "CreateContainerError", "a"),
    ]
    assert why(pods).sentence.endswith("cannot be made: a")


def test_nobody_looks_at_the_run() -> None:
    found = why([], run=ray_job())
    assert found.sentence == "KubeRay has not looked at the run yet"
    assert "is the KubeRay operator running" in str(found.hint)
