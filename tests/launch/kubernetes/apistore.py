"""What a stand-in for an API server stores: objects, their history, logs of pods.

It keeps what Kubernetes documents: resource versions, uids, generations, finalizers, deletion in
the foreground and in the background, and strict checks of fields, in the words of Kubernetes 1.36.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Condition, Timer
from typing import Any
from uuid import uuid4

from tests.kuberay import strict_schema

Object = dict[str, Any]
Key = tuple[str, str]
"""Plural and name."""

NAMESPACE = "research"
KINDS = {
    "rayjobs": ("ray.io/v1", "RayJob"),
    "configmaps": ("v1", "ConfigMap"),
    "pods": ("v1", "Pod"),
    "events": ("v1", "Event"),
    "nodes": ("v1", "Node"),
    "namespaces": ("v1", "Namespace"),
    "secrets": ("v1", "Secret"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "runtimeclasses": ("node.k8s.io/v1", "RuntimeClass"),
    "priorityclasses": ("scheduling.k8s.io/v1", "PriorityClass"),
    "localqueues": ("kueue.x-k8s.io/v1beta2", "LocalQueue"),
    "selfsubjectaccessreviews": ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
}
GLOBAL = {"nodes", "namespaces", "priorityclasses", "runtimeclasses", "selfsubjectaccessreviews"}
"""Kinds of the cluster, not of a namespace."""
GARBAGE_AFTER_S = 0.15
_FOREGROUND = "foregroundDeletion"
"""Finalizer of what is deleted after all that it owns, even where it owns nothing."""
_CONFIG_MAP = {"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"}


class RefusedError(Exception):
    """An answer other than success.

    Args:
        status: of HTTP.
        reason: one word.
        message: a sentence.
        kind: plural that it is about.
    """

    def __init__(self, status: int, reason: str, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.kind = kind

    def to_dict(self) -> Object:
        """As the body of an answer."""
        return {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status,
            "reason": self.reason, "message": self.message, "details": {"kind": self.kind},
        }  # fmt: skip


@dataclass(slots=True)
class PodOutput:
    """What a container has printed: time stamp and text of each line."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    has_ended: bool = False


@dataclass(slots=True)
class Store:
    """Objects of one namespace; `outputs` by pod, or by `pod/container` for all but its first.

    What a container printed before its last restart is at `pod/container/previous`.
    """

    changed: Condition = field(default_factory=Condition)
    objects: dict[Key, Object] = field(default_factory=dict)
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    outputs: dict[str, PodOutput] = field(default_factory=dict)
    compacted: int = 0
    is_closed: bool = False
    restarts: int = 0
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def create(self, plural: str, body: Object, *, dry_run: bool, strict: bool) -> Object:
        """Store a new object."""
        body = copy.deepcopy(body)
        with self.changed:
            if strict:
                _check(plural, body)
            name = body["metadata"]["name"]
            if (plural, name) in self.objects:
                message = f'{_full(plural)} "{name}" already exists'
                raise RefusedError(409, "AlreadyExists", message, plural)
            body["metadata"] |= {
                "namespace": NAMESPACE,
                "uid": str(uuid4()),
                "creationTimestamp": body["metadata"].get("creationTimestamp")
                or "2026-11-24T12:00:00Z",
                "generation": 1,
            }
            if not dry_run:
                self._put(plural, "ADDED", body)
            return body

    def update(self, plural: str, name: str, **parts: Any) -> Object:
        """Replace top-level parts of an object, as its controller does."""
        with self.changed:
            body = copy.deepcopy(self.objects[plural, name]) | copy.deepcopy(parts)
            self._put(plural, "MODIFIED", body)
            return body

    def delete(
        self, plural: str, name: str, uid: str | None = None, *, foreground: bool = False
    ) -> Object:
        """Delete an object, or mark it where a finalizer holds it; then collect the garbage."""
        with self.changed:
            body = self.get(plural, name)
            there = body["metadata"]["uid"]
            if uid is not None and uid != there:
                message = (
                    f'Operation cannot be fulfilled on {_full(KINDS[plural][1])} "{name}": the UID '
                    f"in the precondition ({uid}) does not match the UID in record ({there}). The "
                    "object might have been deleted and then recreated"
                )
                raise RefusedError(409, "Conflict", message, plural)
            held = [*(body["metadata"].get("finalizers") or [])]
            if foreground and _FOREGROUND not in held:
                held.append(_FOREGROUND)
            if held:
                meta = {"deletionTimestamp": "2026-11-24T13:00:00Z", "finalizers": held}
                body = self.update(plural, name, metadata=body["metadata"] | meta)
            else:
                self._drop(plural, name)
        Timer(GARBAGE_AFTER_S, self._collect).start()
        return body

    def _drop(self, plural: str, name: str) -> None:
        self._record(plural, "DELETED", self.objects.pop((plural, name)))
        if plural == "pods":
            for key in [key for key in self.outputs if key.partition("/")[0] == name]:
                self.outputs.pop(key).has_ended = True

    def get(self, plural: str, name: str) -> Object:
        """The object."""
        if (plural, name) not in self.objects:
            raise RefusedError(404, "NotFound", f'{_full(plural)} "{name}" not found', plural)
        return self.objects[plural, name]

    def output(self, pod: str, container: str, *, previous: bool) -> PodOutput:
        """What a container has printed, in the words of API server and kubelet where it has not."""
        spec = self.get("pods", pod).get("spec") or {}
        names = [one["name"] for one in [*spec["containers"], *(spec.get("initContainers") or [])]]
        if container not in names:
            message = f"container {container} is not valid for pod {pod}"
            raise RefusedError(400, "BadRequest", message)
        if previous and self._waits_again(pod, container):
            previous = False  # what runs next is not there, so the last is the one before
        key = pod if container == names[0] and not previous else f"{pod}/{container}"
        output = self.outputs.get(f"{key}/previous" if previous else key)
        if output is None:
            what = f'container "{container}" in pod "{pod}"'
            message = f"{what} is waiting to start: ContainerCreating"
            if previous:
                message = f"previous terminated {what} not found"
            raise RefusedError(400, "BadRequest", message)
        return output

    def _waits_again(self, pod: str, container: str) -> bool:
        """Whether a container has ended and is to be started again, as in CrashLoopBackOff."""
        status = self.get("pods", pod).get("status") or {}
        both = [status.get("initContainerStatuses"), status.get("containerStatuses")]
        return any(
            bool(one.get("restartCount")) and "waiting" in (one.get("state") or {})
            for one in itertools.chain.from_iterable(filter(None, both))
            if one["name"] == container
        )

    def find(self, plural: str) -> list[Object]:
        """All of a kind."""
        return [body for (kind, _), body in sorted(self.objects.items()) if kind == plural]

    @property
    def version(self) -> int:
        """Of the newest change."""
        return self.history[-1][0] if self.history else 1

    def print(self, output: str, stamp: str, text: str) -> None:
        """A container prints a line."""
        with self.changed:
            self.outputs.setdefault(output, PodOutput()).lines.append((stamp, text))
            self.changed.notify_all()

    def restart(self) -> None:
        """End all streams; others may be opened."""
        with self.changed:
            self.restarts += 1
            self.changed.notify_all()

    def close(self) -> None:
        """End all streams for good."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def _collect(self) -> None:
        """Delete what names owners of which none is left, and let go what waited for that."""
        with self.changed:
            going = {
                body["metadata"]["uid"]
                for body in self.objects.values()
                if _FOREGROUND in (body["metadata"].get("finalizers") or [])
            }
            alive = {body["metadata"]["uid"] for body in self.objects.values()} - going
            for (plural, name), body in [*self.objects.items()]:
                owners = body["metadata"].get("ownerReferences") or []
                if owners and not any(owner["uid"] in alive for owner in owners):
                    self.delete(plural, name)
            for (plural, name), body in [*self.objects.items()]:
                if body["metadata"]["uid"] in going:
                    self._let_go(plural, name, body["metadata"])

    def _let_go(self, plural: str, name: str, meta: Object) -> None:
        left = [one for one in meta["finalizers"] if one != _FOREGROUND]
        self.update(plural, name, metadata=meta | {"finalizers": left})
        if not left:
            self._drop(plural, name)

    def _put(self, plural: str, change: str, body: Object) -> None:
        self.objects[plural, body["metadata"]["name"]] = body
        self._record(plural, change, body)

    def _record(self, plural: str, change: str, body: Object) -> None:
        version = next(self._versions)
        body["metadata"] = body["metadata"] | {"resourceVersion": str(version)}
        self.history.append((version, plural, change, copy.deepcopy(body)))
        self.changed.notify_all()


def _full(word: str) -> str:
    """A plural or kind, with its group."""
    return f"{word}.ray.io" if word in {"rayjobs", "RayJob"} else word


def _check(plural: str, body: Object) -> None:
    """Strict decoding, then validation, as Kubernetes words them."""
    unknown: list[str] = []
    wrong: list[str] = []
    if plural == "configmaps":
        unknown = [key for key in body if key not in _CONFIG_MAP]
    elif plural == "rayjobs":
        for error in strict_schema("RayJob").iter_errors(body):
            path = error.json_path.removeprefix("$.").removeprefix("$")
            if error.validator == "additionalProperties":
                extra = {*error.instance} - {*error.schema["properties"]}
                unknown += [".".join(filter(None, (path, key))) for key in sorted(extra)]
            else:
                wrong.append(f"{path}: Invalid value: {error.message}")
    kind = KINDS[plural][1]
    if unknown:
        fields = ", ".join(f'unknown field "{field}"' for field in unknown)
        message = (
            f'{kind} in version "v1" cannot be handled as a {kind}: strict decoding error: {fields}'
        )
        raise RefusedError(400, "BadRequest", message)
    if wrong:
        message = f'{_full(kind)} "{body["metadata"]["name"]}" is invalid: {wrong[0]}'
        raise RefusedError(422, "Invalid", message, plural)
