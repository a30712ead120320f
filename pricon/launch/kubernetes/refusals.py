"""What an API server refuses, or does not answer, in words that lead on."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from urllib3.exceptions import ReadTimeoutError

from pricon.errors import LaunchError
from pricon.launch.kubernetes.kubeconfig import Access

_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "delete": "DELETE"}
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_DENIED = re.compile(r'cannot (\w+) (?:resource|path) "([^"]+)"')
_YOUNG = re.compile("cannot .* resource|not yet ready to handle request")
_USER = re.compile(r'User "([^"]*)"')
INSTALL_KUBERAY = (
    "helm install kuberay-operator kuberay-operator --version 1.7.0 --namespace kuberay-system "
    "--repo https://ray-project.github.io/kuberay-helm --create-namespace"
)


class UnansweredError(LaunchError):
    """The API server did not answer, or only with trouble of its own; it may do so later."""


class UnreadableLogError(UnansweredError):
    """The API server answers, but the node of the pod whose log was asked for does not."""


class BrokenStreamError(LaunchError):
    """A log or a watch ended in the middle; opening it again may help."""


class RefusedError(LaunchError):
    """The API server refuses, as it does with everybody before it has read roles and kinds."""


class UnknownKindError(RefusedError):
    """The API server has no such kind."""


class UnknownUserError(RefusedError):
    """The API server does not accept the credentials."""


class ForbiddenError(RefusedError):
    """The user's roles do not allow this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object.

    Args:
        api: path of its group and version.
        plural: its name in paths and roles; empty is what a server says of itself.
        word: its name in sentences.
    """

    api: str
    plural: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as roles and paths name it.

    Args:
        verb: as roles have it.
        kind: of the object.
        name: of the object; None is the whole collection.
        part: a subresource.
        query: parameters.
        body: what is sent.
        access: to whom.
    """

    verb: str
    kind: Kind
    name: str | None
    part: str | None
    query: Mapping[str, Any]
    body: dict[str, Any] | None
    access: Access

    @property
    def method(self) -> str:
        """Of HTTP."""
        return _METHODS[self.verb]

    @property
    def path(self) -> tuple[str, ...]:
        """Parts of the path."""
        space = ("namespaces", self.access.namespace, self.kind.plural) if self.kind.plural else ()
        return (self.kind.api, *space, *filter(None, (self.name, self.part)))

    @property
    def resource(self) -> str:
        """As roles have it, such as `pods/log`."""
        return self.kind.plural + (f"/{self.part}" if self.part else "")

    @property
    def what(self) -> str:
        """The object, for sentences."""
        name = self.name or ((self.body or {}).get("metadata") or {}).get("name")
        return f"{self.kind.word} `{name}`" if name else f"{self.kind.word}s"


class Answer:
    """What came back: HTTP status, headers, body, and what the body says of itself."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def _said(self) -> dict[str, Any]:
        """The `Status` object, or {} where a proxy or an unknown path answered."""
        if self.status < 300:
            return {}
        try:
            body = json.loads(self.body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) and body.get("kind") == "Status" else {}

    @property
    def is_status(self) -> bool:
        """Whether the API server itself refused, rather than something in front of it."""
        return bool(self._said)

    @property
    def reason(self) -> str:
        """One word, such as `AlreadyExists`."""
        return str(self._said.get("reason", ""))

    @property
    def message(self) -> str:
        """The server's sentence."""
        plain = self.body.decode("utf-8", "replace").strip()[:300]
        return str(self._said.get("message") or plain or f"status {self.status}")

    @property
    def about(self) -> str:
        """Kind that the refusal is about, such as `namespaces`."""
        return str((self._said.get("details") or {}).get("kind", ""))

    @property
    def retry_after_s(self) -> float:
        """Seconds that the server asks to wait; 0 where it does not."""
        asked = self.headers.get("Retry-After", "")
        return float(asked) if asked.isascii() and asked.isdigit() else 0.0


def is_absent(answer: Answer) -> bool:
    """Whether there is no object of this name, as opposed to no such kind of object."""
    return answer.status == 404 and answer.is_status and answer.about != "namespaces"


def is_transient(request: Request, answer: Answer) -> bool:
    """Whether the same request may be answered otherwise soon."""
    # Two creations at once may meet in the bookkeeping of a quota, which takes a moment to begin.
    is_race = request.verb == "create" and (
        answer.reason == "Conflict" or "status unknown for quota" in answer.message
    )
    return is_race or answer.status in _TRANSIENT


def is_doubtful(answer: Answer) -> bool:
    """Whether a server that has only just started may refuse what it allows a second later."""
    if answer.status == 403 and answer.is_status:  # quotas and policies come after the roles
        return _YOUNG.search(answer.message) is not None
    return answer.status == 401 or (answer.status in {403, 404} and not answer.is_status)


def refusal(request: Request, answer: Answer) -> LaunchError:
    """The error for an answer that is none of the awaited ones."""
    match answer.status:
        case 401:
            return _unknown_user(request)
        case 403:
            return _forbidden(request, answer)
        case 404:
            return _no_such_place(request, answer)
        case 400 | 422:
            return LaunchError(
                f"the API server refuses {request.what}: {answer.message}",
                "is the cluster's KubeRay older than 1.7? `helm list --all-namespaces` shows it",
            )
        case 500 | 502 if request.part == "log" and answer.is_status:
            return _unreadable(request, answer.message)  # passed on by the API server
        case status if status in _TRANSIENT:
            return UnansweredError(
                f"the API server {request.access.host} has trouble of its own "
                f"(status {answer.status}): {answer.message}",
                "try again in a few minutes; a run that was submitted goes on",
            )
    return LaunchError(
        f"the API server refuses to {request.verb} {request.what} "
        f"(status {answer.status}): {answer.message}",
        f"`{_kubectl(request)} get {request.kind.plural}` shows what is there",
    )


def unanswered(request: Request, error: Exception) -> LaunchError:
    """The error for no answer at all."""
    if request.part == "log" and isinstance(error, ReadTimeoutError):
        return _unreadable(request, "no answer in time")
    said = re.sub(r"\w*Connection(Pool)?\([^)]*\): ", "", str(error))  # as `host` says it
    return UnansweredError(
        f"the API server {request.access.host} does not answer: {said}",
        f"is a VPN needed? `{_kubectl(request)} version` asks the same server; "
        "a run that was submitted goes on",
    )


def untrusted(request: Request, error: Exception) -> LaunchError:
    """The error for a certificate that does not hold, or a server that has none to show."""
    if "CERTIFICATE" not in str(error):
        return LaunchError(
            f"no safe connection with the API server {request.access.host}: {error}",
            "is `server` of the kubeconfig right, and is there a proxy in between? "
            f"`{_kubectl(request)} version` asks the same server",
        )
    return LaunchError(
        f"the certificate of the API server {request.access.host} is not trusted: {error}",
        "is `certificate-authority` of the kubeconfig that of this cluster, and is this "
        "computer's clock right? Get a new kubeconfig from the cluster's owner",
    )


def _unreadable(request: Request, why: str) -> UnreadableLogError:
    return UnreadableLogError(
        f"the log of {request.what} cannot be read from its node: {' '.join(why.split())}",
        "`pricon status` shows how the run is; try again in a few minutes",
    )


def _unknown_user(request: Request) -> LaunchError:
    context = request.access.context
    where = f"of context `{context}`" if context else "of this pod"
    return UnknownUserError(
        f"the API server {request.access.host} does not accept the credentials {where}: "
        "a token has expired, or is of another cluster",
        "log in again as the cluster's owner describes, then repeat the command; a run that was "
        "submitted goes on",
    )


def _forbidden(request: Request, answer: Answer) -> LaunchError:
    """Roles do not allow it, or a policy of the cluster does not admit the object."""
    space = request.access.namespace
    denied = _DENIED.search(answer.message)
    if denied is None and answer.is_status:
        hint = "ask the cluster's owner; the sentence above names the policy"
        if "exceeded quota" in answer.message:
            hint = "wait until other runs have ended (`pricon list`), or have the owner raise it"
        elif "being terminated" in answer.message:
            hint = "somebody deletes this namespace and all in it; `--namespace` names another"
        return LaunchError(f"the cluster does not admit {request.what}: {answer.message}", hint)
    verb, resource = denied.groups() if denied else (request.verb, request.resource)
    user = _USER.search(answer.message)
    who = f"user `{user[1]}`" if user else "you"
    return ForbiddenError(
        f"{who} may not {verb} {resource} in namespace `{space}`",
        "is the namespace right? `--namespace` names another. Else ask the cluster's owner to bind "
        "you to its role `pricon-submitter`; "
        f"`{_kubectl(request)} auth can-i --list` shows what you may do",
    )


def _no_such_place(request: Request, answer: Answer) -> LaunchError:
    space = request.access.namespace
    if answer.about == "namespaces":
        return LaunchError(
            f"there is no namespace `{space}`",
            "add `--namespace`; `kubectl get namespaces` lists them",
        )
    if request.kind.api.startswith("apis/ray.io/"):
        return UnknownKindError(
            f"KubeRay is not installed in the cluster of {request.access.host}: it has no "
            f"{request.kind.word}s",
            f"the cluster's owner runs `{INSTALL_KUBERAY}`",
        )
    return LaunchError(
        f"{request.access.host} has no {request.resource}: {answer.message}",
        "is this the address of an API server? `kubectl cluster-info` shows it",
    )


def _kubectl(request: Request) -> str:
    """The start of a kubectl command that asks the same server and namespace."""
    context = f" --context {request.access.context}" if request.access.context else ""
    return f"kubectl{context} --namespace {request.access.namespace}"
