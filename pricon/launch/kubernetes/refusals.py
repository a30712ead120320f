"""What an API server refuses, or does not answer, in words that lead on."""

import re

from urllib3.exceptions import ReadTimeoutError

from pricon.errors import LaunchError
from pricon.launch.kubernetes.request import Answer, Request

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


class StrangerError(LaunchError):
    """What answers is no API server, or none that can be trusted: another question is in vain."""


class RefusedError(LaunchError):
    """The API server refuses, as it does with everybody before it has read roles and kinds."""


class UnknownKindError(RefusedError):
    """The API server has no such kind."""


class UnknownUserError(RefusedError):
    """The API server does not accept the credentials."""


class ForbiddenError(RefusedError):
    """The user's roles do not allow this."""


def is_absent(request: Request, answer: Answer) -> bool:
    """Whether there is no object of this name, as opposed to no such kind or place for it."""
    is_about_it = answer.about != "namespaces" or request.kind.plural == "namespaces"
    return answer.status == 404 and answer.is_status and is_about_it


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
        case 400 if "HTTP request to an HTTPS server" in answer.message:
            return StrangerError(
                f"{request.access.host} is asked without encryption, and wants it",
                "`server` of the kubeconfig must begin with `https://`",
            )
        case 400 | 422:
            hint = f"`{_kubectl(request)} get {request.kind.plural}` shows what is there"
            if request.kind.api.startswith("apis/ray.io/"):
                hint = "is KubeRay older than 1.7? `helm list --all-namespaces` shows it"
            return LaunchError(f"the API server refuses {request.what}: {answer.message}", hint)
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


def no_api_server(request: Request) -> StrangerError:
    """The error for an answer that none of an API server would be."""
    return StrangerError(
        f"{request.access.host} answers, but not as an API server does",
        "is there a proxy in between? `kubectl get --raw /version` shows what answers",
    )


def stream_refusal(request: Request, answer: Answer) -> LaunchError:
    """What the user must see as it is; anything else as something that may mend itself."""
    error = refusal(request, answer)
    is_final = answer.status in {401, 403} or isinstance(error, UnreadableLogError)
    return error if is_final else BrokenStreamError(error.message, error.hint)


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


def untrusted(request: Request, error: Exception) -> StrangerError:
    """The error for a certificate that does not hold, or a server that has none to show."""
    if "CERTIFICATE" not in str(error):
        return StrangerError(
            f"no safe connection with the API server {request.access.host}: {error}",
            "is `server` of the kubeconfig right, and is there a proxy in between? "
            f"`{_kubectl(request)} version` asks the same server",
        )
    return StrangerError(
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
    where = f" in namespace `{space}`" if request.kind.is_namespaced else ""
    return ForbiddenError(
        f"{who} may not {verb} {resource}{where}",
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
    # Of the pod itself, or of a node that does not know it any more.
    if request.part == "log" and answer.about.partition("/")[0] == "pods":
        return LaunchError(f"{request.what} is gone", "`pricon status` shows how the run is")
    return UnknownKindError(
        f"{request.access.host} has no {request.resource}: {answer.message}",
        "is this the address of an API server? `kubectl cluster-info` shows it",
    )


def _kubectl(request: Request) -> str:
    """The start of a kubectl command that asks the same server and namespace."""
    context = f" --context {request.access.context}" if request.access.context else ""
    return f"kubectl{context} --namespace {request.access.namespace}"
