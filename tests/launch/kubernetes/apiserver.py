"""A stand-in for a Kubernetes API server, over real HTTP on loopback, that can be made to fail."""

import json
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.launch.kubernetes.apifaults import ApiServer, Fault
from tests.launch.kubernetes.apistore import (
    KINDS,
    NAMESPACE,
    Object,
    PodOutput,
    RefusedError,
)

TOKEN = "a-valid-token"
_JSON = "application/json"
_PATH = re.compile(
    r"(?P<root>/version)|/(?P<api>api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<space>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?"
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # what was sent before a reset arrives
    api: ApiServer
    fault: Fault | None

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(place.query).items()}
        found = _PATH.fullmatch(place.path)
        self.fault = None
        if not self._has_token():
            self._refuse(RefusedError(401, "Unauthorized", "Unauthorized"))
            return
        if found is None or not (found["root"] or self.api.serves(found["api"], found["plural"])):
            self._answer(404, b"404 page not found\n", "text/plain")
            return
        self.restarts = self.api.store.restarts
        self.plural, self.name = found["root"] or found["plural"], found["name"] or ""
        self.space = found["space"] or NAMESPACE
        verb = "log" if found["part"] == "log" else self._verb()
        self.api.asked.append((verb, self.plural))
        self.fault = self.api.fault_of(verb, self.plural)
        try:
            if self.fault is not None and self._goes_wrong(self.fault):
                return
            self._check_user(verb)
            self._do(verb, json.loads(body) if body else {})
        except RefusedError as err:
            self._refuse(err)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _verb(self) -> str:
        if self.command != "GET":
            return {"POST": "create", "DELETE": "delete"}[self.command]
        is_one = self.name or self.plural == "/version"
        return "watch" if "watch" in self.query else "get" if is_one else "list"

    def _goes_wrong(self, fault: Fault) -> bool:
        """Whether the request is dealt with."""
        if fault.status:
            refused = RefusedError(fault.status, "Injected", "injected trouble")
            self._refuse(refused, fault.body, fault.headers)
            return True
        if fault.reset and not fault.is_done:
            self._reset()
            return True
        return False

    def _has_token(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return (scheme.lower(), token) == ("bearer", TOKEN)  # in a pod the client writes it small

    def _check_user(self, verb: str) -> None:
        verb, resource = ("get", "pods/log") if verb == "log" else (verb, self.plural)
        self.api.check_roles(verb, resource, self.space)
        if self.space != NAMESPACE and verb == "create":
            message = f'namespaces "{self.space}" not found'
            raise RefusedError(404, "NotFound", message, "namespaces")

    def _do(self, verb: str, body: Object) -> None:
        store = self.api.store
        match verb:
            case "create" if self.plural == "selfsubjectaccessreviews":
                self._send(201, self.api.review(body))
            case "create":
                done = store.create(
                    self.plural, body,
                    dry_run=self.query.get("dryRun") == "All",
                    strict=self.query.get("fieldValidation") == "Strict",
                )  # fmt: skip
                self._send(201, done)
            case "delete":
                uid = (body.get("preconditions") or {}).get("uid")
                is_foreground = body.get("propagationPolicy") == "Foreground"
                self._send(200, store.delete(self.plural, self.name, uid, foreground=is_foreground))
            case "get":
                accept = self.headers.get("Accept", "")
                self._send(200, self.api.get(self.plural, self.name, self.space, accept))
            case "list":
                self._list()
            case "watch":
                self._stream(self._watched())
            case "log":
                self._stream(self._logged())

    def _list(self) -> None:
        """A page: `continue` is how many objects were on those before."""
        api_version, kind = KINDS[self.plural]
        with self.api.store.changed:
            found = [one for one in self.api.store.find(self.plural) if self._is_chosen(one)]
            meta = {"resourceVersion": str(self.api.store.version)}
        start = int(self.query.get("continue", 0))
        end = start + int(self.query.get("limit", len(found) or 1))
        if end < len(found):
            meta["continue"] = str(end)
        page = {"apiVersion": api_version, "kind": f"{kind}List", "metadata": meta}
        self._send(200, page | {"items": found[start:end]})

    def _is_chosen(self, body: Object) -> bool:
        labels = body["metadata"].get("labels") or {}
        wanted = [
            part.split("=") for part in self.query.get("labelSelector", "").split(",") if part
        ]
        name = self.query.get("fieldSelector", "").removeprefix("metadata.name=")
        return all(labels.get(key) == value for key, value in wanted) and name in {
            "", body["metadata"]["name"],
        }  # fmt: skip

    def _watched(self) -> Iterator[bytes]:
        store, seen = self.api.store, int(self.query["resourceVersion"])
        deadline = time.monotonic() + self.api.watch_s
        if seen < store.compacted:
            message = f"too old resource version: {seen} ({store.compacted})"
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": message}
            yield _line({"type": "ERROR", "object": gone})
            return
        while time.monotonic() < deadline and not self._is_over():
            with store.changed:
                if store.version <= seen:
                    store.changed.wait(0.2)
                news = [entry for entry in store.history if entry[0] > seen]
            for version, plural, change, body in news:
                seen = version
                if plural == self.plural and self._is_chosen(body):
                    yield _line({"type": change, "object": body})
        meta = {"resourceVersion": str(seen)}
        yield _line({"type": "BOOKMARK", "object": {"metadata": meta}})

    def _logged(self) -> Iterator[bytes]:
        is_previous = self.query.get("previous") == "true"
        output = self.api.store.output(self.name, self.query["container"], previous=is_previous)
        return self._lines_of(output)

    def _lines_of(self, output: PodOutput) -> Iterator[bytes]:
        store = self.api.store
        sent = max(0, len(output.lines) - int(self.query.get("tailLines", len(output.lines))))
        since = self.query.get("sinceTime", "1970-01-01T00:00:00Z")
        follow = self.query.get("follow") == "true"
        while True:
            with store.changed:
                if follow and len(output.lines) == sent and not output.has_ended:
                    store.changed.wait(0.2)
                lines, has_ended = output.lines[sent:], output.has_ended
            sent += len(lines)
            for stamp, text in lines:
                if datetime.fromisoformat(stamp) >= datetime.fromisoformat(since):
                    yield f"{stamp} {text}\n".encode()
            if has_ended or self._is_over() or not follow:
                return

    def _is_over(self) -> bool:
        """Whether streams of this request end."""
        store = self.api.store
        return store.is_closed or store.restarts != self.restarts

    def _stream(self, lines: Iterator[bytes]) -> None:
        """Lines as chunks; the answer begins before there is one, as that of an API server does."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for sent, line in enumerate(lines):
            if self.fault is not None and self.fault.cut_after == sent:
                self._chunk(line[: len(line) // 2])
                if not self.fault.is_polite:
                    self._reset()
                    return
                break
            self._chunk(line)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _refuse(
        self, err: RefusedError, body: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(err.to_dict()) if body is None else body
        self._answer(err.status, data.encode(), _JSON, headers)

    def _send(self, status: int, body: Object) -> None:
        if self.fault is not None and self.fault.reset:
            self._reset()
            return
        self._answer(status, json.dumps(body).encode(), _JSON)

    def _answer(
        self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.fault is not None and self.fault.stall_s:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            time.sleep(self.fault.stall_s)
            self.close_connection = True
            return
        self.wfile.write(data)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # so that closing sends RST instead of FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True


def _line(event: Object) -> bytes:
    return json.dumps(event).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close without a polite end, so that a reset is one."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are what these tests are about."""


@contextmanager
def api_server(settings: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """A server with nothing in it; with TLS where there are settings for it."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        scheme = "http"
        if settings is not None:
            server.socket, scheme = settings.wrap_socket(server.socket, server_side=True), "https"
        api = ApiServer(url=f"{scheme}://127.0.0.1:{server.server_port}")
        handler.api = api  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield api
        finally:
            api.store.close()
            server.shutdown()
            thread.join()
