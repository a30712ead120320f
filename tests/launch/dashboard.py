"""A stand-in for the dashboard of a Ray cluster, over real HTTP on loopback, that can fail."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

VERSION = "/api/version"
JOBS = "/api/jobs/"
PACKAGES = "/api/packages/"

_TWICE = """Traceback (most recent call last):
  File "job_head.py", line 434, in submit_job
RuntimeError: Request failed with status code 400: Job with submission_id {} already exists.
"""
"""How Ray's head passes on what its agent refuses."""

Fault = int | str
"""What the next request meets: a status, `silent`, `reset`, `lost` (a reset after it was done), or
`page`, HTML of somebody else."""


@dataclass(slots=True)
class FakeDashboard:
    """What it has, was asked, and what goes wrong with the next requests to a path."""

    url: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    trouble: str = "in trouble"
    retry_after: str | None = None
    is_over: Event = field(default_factory=Event)

    def fail(self, request: str, *faults: Fault) -> None:
        """Let something go wrong with the next requests, such as `GET /api/version`."""
        self.faults.setdefault(request, []).extend(faults)

    def add(self, ray_job: str, status: str = "RUNNING", **more: Any) -> None:
        """Have it run a job."""
        details = {"type": "SUBMISSION", "submission_id": ray_job, "status": status}
        self.jobs[ray_job] = {**details, "entrypoint": "x", "metadata": {}, **more}


class _Handler(BaseHTTPRequestHandler):
    dashboard: FakeDashboard

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_package = self.path.startswith(PACKAGES)
        request = f"{self.command} {PACKAGES if is_package else self.path}"
        self.dashboard.asked.append(request)
        faults = self.dashboard.faults.get(request)
        match faults.pop(0) if faults else None:
            case None:
                self._answer(*self._done(body))
            case "silent":
                self.dashboard.is_over.wait(30.0)
                self.close_connection = True
            case "page":
                self._answer(200, "<html>")
            case "reset":
                self._reset()
            case "lost":
                self._done(body)
                self._reset()
            case status:
                self._answer(int(status), self.dashboard.trouble)

    def _done(self, body: bytes) -> tuple[int, Any]:
        jobs = self.dashboard.jobs
        match self.command, self.path.removeprefix(JOBS).split("/"):
            case "GET", _ if self.path == VERSION:
                return 200, {"version": "4"}
            case method, _ if self.path.startswith(PACKAGES):
                return (200 if method == "PUT" else 404), ""
            case "GET", [""]:
                return 200, [*jobs.values()]
            case "POST", [""]:
                asked = json.loads(body)
                if asked["submission_id"] in jobs:
                    return 500, _TWICE.format(asked["submission_id"])
                self.dashboard.add(
                    asked["submission_id"], metadata=asked["metadata"], entrypoint="x"
                )
                return 200, {"job_id": None, "submission_id": asked["submission_id"]}
            case "GET", [name] if name in jobs:
                return 200, jobs[name]
            case "GET", [name, "logs"] if name in jobs:
                return 200, {"logs": "one\ntwo\n"}
            case "POST", [name, "stop"] if name in jobs:
                jobs[name]["status"] = "STOPPED"
                return 200, {"stopped": True}
        return 404, "no such thing"

    def _answer(self, status: int, content: Any) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status in {429, 503} and self.dashboard.retry_after is not None:
            self.send_header("Retry-After", self.dashboard.retry_after)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # Closed with unread time left, the kernel says RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


@contextmanager
def dashboard() -> Iterator[FakeDashboard]:
    """The server, on a free port."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Handler.dashboard = FakeDashboard(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Handler.dashboard
        finally:
            Handler.dashboard.is_over.set()
            server.shutdown()
            thread.join()
