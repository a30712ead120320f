"""A stand-in for an API server as tests hold it: what it has, was asked, and what goes wrong."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.launch.kubernetes.apistore import GLOBAL, KINDS, NAMESPACE, Object, RefusedError, Store

SILENT_NODE = json.dumps(
    {
        "kind": "Status", "status": "Failure", "code": 500,
        "message": 'Get "https://10.0.0.7:10250/containerLogs/research/a-pod/ray-job-submitter": '
        "dial tcp 10.0.0.7:10250: connect: connection refused",
    }
)  # fmt: skip
"""How an API server passes on that the node of a pod gives no log: without a reason."""


NOT_YET_ALLOWED = json.dumps(
    {
        "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": 'pods is forbidden: User "ada" cannot list resource "pods" in API group "" in '
        'the namespace "research"', "details": {"kind": "pods"},
    }
)  # fmt: skip
"""How an API server answers everybody that has started and not read the roles yet."""

_OWN_NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
"""As long as nobody labels it."""


@dataclass(slots=True)
class Fault:
    """Something that goes wrong with the next requests of a kind.

    Args:
        verb: as roles have it, or `log`.
        plural: of the objects; empty is any.
        times: how often.
        after: so many requests pass before it.
        status: answer with this, and `body`, instead.
        headers: of that answer.
        body: of that answer; None is a `Status`.
        reset: close the connection without an answer.
        is_done: before the reset, do what was asked.
        stall_s: send half of an answer, and then nothing for so long.
        cut_after: of a stream, send so many lines, half of the next, and close.
        is_polite: close as if that were all.
    """

    verb: str
    plural: str = ""
    times: int = 1
    after: int = 0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    reset: bool = False
    is_done: bool = False
    stall_s: float = 0.0
    cut_after: int | None = None
    is_polite: bool = False


@dataclass(slots=True)
class ApiServer:
    """The server: what it stores, what it was asked, and what goes wrong."""

    url: str
    store: Store = field(default_factory=Store)
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    has_kuberay: bool = True
    has_kueue: bool = False
    version: str = "v1.36.2"
    evaluation_error: str = ""
    watch_s: float = 30.0

    def fail(self, verb: str, plural: str = "", **what: Any) -> Fault:
        """Let something go wrong from now on."""
        self.faults.append(Fault(verb=verb, plural=plural, **what))
        return self.faults[-1]

    def serves(self, api: str, plural: str) -> bool:
        """Whether there is such a kind at this path."""
        if plural not in KINDS or KINDS[plural][0] != api.removeprefix("api/").removeprefix(
            "apis/"
        ):
            return False
        operators = {"rayjobs": self.has_kuberay, "localqueues": self.has_kueue}
        return operators.get(plural, True)

    def get(self, plural: str, name: str, space: str, accept: str) -> Object:
        """An object, or of it what is accepted: all, or its metadata alone."""
        if plural == "/version":
            return {"major": "1", "gitVersion": self.version}
        if space != NAMESPACE:
            raise RefusedError(404, "NotFound", f'{plural} "{name}" not found', plural)
        is_own = (plural, name) == ("namespaces", NAMESPACE) and (plural, name) not in (
            self.store.objects
        )
        body = _OWN_NAMESPACE if is_own else self.store.get(plural, name)
        if "as=PartialObjectMetadata" not in accept:
            return body
        kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return kind | {"metadata": body["metadata"]}

    def check_roles(self, verb: str, resource: str, space: str) -> None:
        """Refuse what the user may not."""
        if (verb, resource) not in self.forbidden:
            return
        if resource.startswith("/"):
            message = f'forbidden: User "ada" cannot {verb} path "{resource}"'
            raise RefusedError(403, "Forbidden", message)
        plural = resource.partition("/")[0]
        group = KINDS[plural][0].rpartition("/")[0]
        is_global = plural in GLOBAL - {"namespaces"}
        where = "at the cluster scope" if is_global else f'in the namespace "{space}"'
        raise RefusedError(
            403, "Forbidden",
            f'{resource} is forbidden: User "ada" cannot {verb} resource "{resource}" in API '
            f'group "{group}" {where}', resource,
        )  # fmt: skip

    def review(self, body: Object) -> Object:
        """What is said to whoever asks what he may do."""
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        is_known = KINDS[asked["resource"]][0].rpartition("/")[0] == asked["group"]
        is_allowed = is_known and (asked["verb"], resource) not in self.forbidden
        status: Object = {"allowed": is_allowed}
        if self.evaluation_error:
            status["evaluationError"] = self.evaluation_error
        return body | {"status": status}

    def times(self, verb: str, plural: str) -> int:
        """How often something was asked."""
        return self.asked.count((verb, plural))

    def settle(self, plural: str, num: int) -> None:
        """Wait for the garbage collector."""
        deadline = time.monotonic() + 5.0
        while len(self.store.find(plural)) != num and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.store.find(plural)) == num

    def fault_of(self, verb: str, plural: str) -> Fault | None:
        """The fault for a request, which uses it up."""
        for fault in self.faults:
            if not fault.times or fault.verb != verb or fault.plural not in {"", plural}:
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.times -= 1
            return fault
        return None
