"""Requests to one namespace of a cluster: plain dicts in and out, with timeouts and retries.

Owns what is tried again and how long. It uses the `kubernetes` client for addresses, certificates
and tokens, and urllib3 for the requests themselves: the client's generated methods know neither
`sinceTime` of logs nor fields that are newer than they are, and take a second to import.
What the API server refuses becomes words in `pricon.launch.kubernetes.refusals`.
"""

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from pricon.launch.kubernetes.kubeconfig import Access
from pricon.launch.kubernetes.patience import Patience
from pricon.launch.kubernetes.refusals import (
    BrokenStreamError,
    UnreadableLogError,
    is_absent,
    is_doubtful,
    is_transient,
    no_api_server,
    refusal,
    stream_refusal,
    unanswered,
    untrusted,
)
from pricon.launch.kubernetes.request import Answer, Kind, Request

Object = dict[str, Any]
"""A Kubernetes object as its JSON reads."""

RAY_JOBS = Kind(api="apis/ray.io/v1", plural="rayjobs", word="RayJob")
CONFIG_MAPS = Kind(api="api/v1", plural="configmaps", word="ConfigMap")
PODS = Kind(api="api/v1", plural="pods", word="Pod")
EVENTS = Kind(api="api/v1", plural="events", word="Event")
_VERSION = Kind(api="", plural="version", word="version", is_namespaced=False)

_RETRY_AFTER_AT_MOST_S = 60.0
_PAGE = 500
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Names that an object may have. Of another the path would lead elsewhere: to all, or out of it."""
_LOG = logging.getLogger(__name__)


class Cluster:
    """One namespace, as its API server shows it.

    Every method raises LaunchError with words for a user: unreachable, certificate, expired token,
    forbidden, no such API. What may be answered another time is asked several times first.
    """

    def __init__(self, access: Access, patience: Patience | None = None) -> None:
        self.access = access
        self.patience = patience or Patience()

    @property
    def namespace(self) -> str:
        """Where runs live."""
        return self.access.namespace

    def get(self, kind: Kind, name: str) -> Object | None:
        """The object, or None where there is none of this name."""
        if not _NAME.fullmatch(name):
            return None
        request = self._request("get", kind, name)
        answer = self._send(request)
        return None if is_absent(request, answer) else self._object(request, answer)

    def exists(self, kind: Kind, name: str) -> bool:
        """Whether there is an object of this name. Its metadata travels, its data does not."""
        if not _NAME.fullmatch(name):
            return False
        request = replace(self._request("get", kind, name), is_partial=True)
        answer = self._send(request)
        return not is_absent(request, answer) and bool(self._object(request, answer))

    def version(self) -> str:
        """Of Kubernetes, such as `v1.34.1`."""
        request = self._request("get", _VERSION)
        return str(self._object(request, self._send(request)).get("gitVersion", ""))

    def find(self, kind: Kind, labels: str = "") -> list[Object]:
        """All objects with these labels."""
        return self.listing(kind, {"labelSelector": labels} if labels else {})[0]

    def listing(self, kind: Kind, selection: Mapping[str, str]) -> tuple[list[Object], str]:
        """All objects of a selection, and the resource version from which a watch goes on."""
        found: list[Object] = []
        page: dict[str, Any] = {**selection, "limit": _PAGE}
        while True:
            request = self._request("list", kind, query=page)
            answer = self._send(request)
            if answer.status == 410 and found:  # read too slowly: the pages went stale
                found, page = [], {**selection}
                continue
            body = self._object(request, answer)
            found += body.get("items") or []
            meta = body.get("metadata") or {}
            if not meta.get("continue"):
                return found, str(meta.get("resourceVersion", ""))
            page = {**page, "continue": meta["continue"]}

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object | None:
        """The stored object; None where one of this name is there already.

        A key that the server does not know is an error. A lost answer is asked for again, so None
        may also mean that the first try got through.

        Args:
            kind: of the object.
            body: the object.
            dry_run: let the server check everything and store nothing.
        """
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        request = self._request("create", kind, query=query, body=body)
        answer = self._send(request)
        return None if answer.reason == "AlreadyExists" else self._object(request, answer)

    def delete(self, kind: Kind, name: str, uid: str) -> None:
        """Have this very object deleted, after all that it owns; absent is fine.

        What takes its place finds no namesake of its parts: KubeRay would adopt an old one.
        """
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        request = self._request("delete", kind, name, body=body)
        answer = self._send(request)
        # 409: another object has its name by now.
        if not is_absent(request, answer) and answer.status != 409:
            self._object(request, answer)

    def watch(
        self, kind: Kind, selection: Mapping[str, str], version: str
    ) -> Iterator[tuple[str, Object]]:
        """What happens after a resource version: type of the event and object.

        Ends when the server ends it, which it does every few minutes.

        Raises:
            BrokenStreamError: the connection broke, or the version is too old (410).
        """
        query = {
            **selection,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
        }
        for line in self._lines(self._request("watch", kind, query=query)):
            try:
                event = json.loads(line)
            except ValueError as err:
                raise BrokenStreamError("the watch ended in the middle of an event") from err
            if event["type"] == "ERROR":
                raise BrokenStreamError(f"the watch ended: {event['object'].get('message')}")
            yield event["type"], event["object"]

    def log(self, pod: str, container: str, since: str | None, *, follow: bool) -> Iterator[bytes]:
        """Lines of a container, each with its time stamp; only the last may lack its end of line.

        Args:
            pod: its name.
            container: its name.
            since: RFC 3339; older lines are left out, as far as whole seconds tell.
            follow: wait for more.

        Raises:
            BrokenStreamError: there is no log (yet, any more), or, of a log that is followed, the
                connection broke.
            UnreadableLogError: the node of the pod does not answer.
        """
        query = {"container": container, "timestamps": "true", "follow": str(follow).lower()}
        if since is not None:
            query["sinceTime"] = since
        request = self._request("get", PODS, pod, "log", query=query)
        if follow:
            yield from self._lines(request)
            return
        answer = self._send(request)
        if answer.status != 200:
            raise stream_refusal(request, answer)
        yield from BytesIO(answer.body)

    def log_end(self, pod: str, container: str, lines: int, *, previous: bool) -> Iterator[bytes]:
        """The last lines that are there now, as `log` has them and as they come: asked for once.

        Args:
            pod: its name.
            container: its name.
            lines: at most so many.
            previous: of the container before its last restart.
        """
        query = {"container": container, "timestamps": "true", "tailLines": lines}
        query |= {"previous": "true"} if previous else {}
        yield from self._lines(self._request("get", PODS, pod, "log", query=query))

    def _request(
        self,
        verb: str,
        kind: Kind,
        name: str | None = None,
        part: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
    ) -> Request:
        return Request(
            verb=verb, kind=kind, name=name, part=part, query=query or {}, body=body,
            access=self.access,
        )  # fmt: skip

    def _object(self, request: Request, answer: Answer) -> Object:
        if not 200 <= answer.status < 300:
            raise refusal(request, answer)
        try:
            body = json.loads(answer.body)
        except ValueError as err:
            raise no_api_server(request) from err
        is_object = isinstance(body, dict)
        if is_object and request.verb == "get" and request.name is not None:
            is_object = "name" in (body.get("metadata") or {})
        if not is_object:
            raise no_api_server(request)
        return dict(body)

    def _send(self, request: Request) -> Answer:
        """The answer of the first try that got a lasting one."""
        last, was_away = self.patience.attempts - 1, False
        is_told, since = last < 2, time.monotonic()  # whoever is hasty tells it by himself
        for attempt in range(self.patience.attempts):
            asked_s, answer = 0.0, None
            try:
                response = self._open(request, self.patience.read_s, preload=True)
                answer = Answer(response.status, response.headers, response.data)
            except HTTPError as err:
                error = unanswered(request, err)
                if attempt == last or isinstance(error, UnreadableLogError):
                    raise error from err
            else:
                is_young = was_away and attempt < last and is_doubtful(answer)
                if not is_young and not is_transient(request, answer):
                    return answer
                error = refusal(request, answer)
                if attempt == last or (attempt and isinstance(error, UnreadableLogError)):
                    raise error
                asked_s = min(answer.retry_after_s, _RETRY_AFTER_AT_MOST_S)
            was_away = was_away or answer is None or answer.status >= 500
            if not is_told and (attempt or time.monotonic() - since > self.patience.silent_s):
                _LOG.warning("%s does not answer as it should; trying again", request.access.host)
                is_told = True
            self.patience.pause(attempt, asked_s)
        raise AssertionError("every loop ends above")

    def _lines(self, request: Request) -> Iterator[bytes]:
        """Lines of a stream, as they come."""
        rest = b""
        try:
            response = self._open(request, self.patience.quiet_s, preload=False)
            try:
                if response.status != 200:
                    answer = Answer(response.status, response.headers, response.read())
                    raise stream_refusal(request, answer)
                while chunk := response.read1(65536):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line + b"\n"
            finally:
                response.close()
        except HTTPError as err:
            raise BrokenStreamError(f"a stream of {request.access.host} broke: {err}") from err
        if rest:
            yield rest

    def _open(self, request: Request, read_s: float, *, preload: bool) -> urllib3.BaseHTTPResponse:
        client = self.access.client
        headers = {"Accept": request.accepts, "User-Agent": "pricon"}
        for setting in client.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        path = "/".join(quote(part, safe="/") for part in request.path)
        url = f"{request.access.host}/{path}"
        if request.query:
            url += "?" + urlencode(request.query)
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        try:
            response: urllib3.BaseHTTPResponse = client.rest_client.pool_manager.request(
                request.method, url, body=body, headers=headers, preload_content=preload,
                timeout=urllib3.Timeout(connect=self.patience.connect_s, read=read_s),
            )  # fmt: skip
        except SSLError as err:
            raise untrusted(request, err) from err
        return response
