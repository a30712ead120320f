"""One request to an API server, and what comes back: as roles, paths and sentences name them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pricon.launch.kubernetes.kubeconfig import Access

_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "delete": "DELETE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object.

    Args:
        api: path of its group and version.
        plural: its name in paths and roles.
        word: its name in sentences.
        is_namespaced: whether a namespace has its own, as opposed to the cluster.
    """

    api: str
    plural: str
    word: str
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        """As roles have it; empty is Kubernetes' own."""
        return self.api.split("/")[1] if self.api.startswith("apis/") else ""


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
        is_partial: whether metadata alone is to come back, and of a secret no data. What `kubectl
            apply` notes in annotations may hold it all the same.
    """

    verb: str
    kind: Kind
    name: str | None
    part: str | None
    query: Mapping[str, Any]
    body: dict[str, Any] | None
    access: Access
    is_partial: bool = False

    @property
    def method(self) -> str:
        """Of HTTP."""
        return _METHODS[self.verb]

    @property
    def path(self) -> tuple[str, ...]:
        """Parts of the path."""
        space = ("namespaces", self.access.namespace) if self.kind.is_namespaced else ()
        parts = (self.kind.api, *space, self.kind.plural, self.name, self.part)
        return tuple(part for part in parts if part)

    @property
    def accepts(self) -> str:
        """Media type of the answer."""
        partial = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1" if self.is_partial else ""
        return f"application/json{partial}"

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
        plain = " ".join(self.body.decode("utf-8", "replace").split())[:300]
        if plain.startswith("<"):
            plain = "a page of HTML"
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
