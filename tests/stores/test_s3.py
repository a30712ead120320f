import socketserver
import threading
from pathlib import Path

import pytest

from pricon.errors import CorpusError, StorageError
from pricon.spec.resources import StorageSpec
from pricon.storage import Storage, open_storage
from tests.seaweed import BUCKET


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "list", "write", "create", "upload"])
def test_missing_bucket(s3: StorageSpec, call: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no bucket `absent`: s3://absent/x/a") as caught:
        _call(open_storage("s3://absent/x", s3), call, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "list", "write", "create", "upload"])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    s3: StorageSpec, monkeypatch: pytest.MonkeyPatch, call: str, name: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(CorpusError, match=r"refused these credentials: s3://.*/x/a") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", s3), call, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "write"])
def test_no_credentials(
    s3: StorageSpec, monkeypatch: pytest.MonkeyPatch, call: str, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    with pytest.raises(CorpusError, match="no credentials for") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", s3), call, tmp_path)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "upload"])
def test_unreachable_endpoint(s3: StorageSpec, call: str, tmp_path: Path) -> None:
    assert s3.endpoint_url is not None
    nowhere = StorageSpec(endpoint_url="http://127.0.0.1:9", region="us-east-1")
    with pytest.raises(StorageError, match=r"http://127.0.0.1:9 failed: s3://") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", nowhere), call, tmp_path)
    assert caught.value.exit_code == 3


ERROR = b"<Error><Code>InternalError</Code><Message>oops</Message></Error>"
ANSWERS = {
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
    "nothing": b"",
    "error": b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%b" % (len(ERROR), ERROR),
}


class _FailingServer(socketserver.ThreadingTCPServer):
    """Answers every request with the same bytes and hangs up."""

    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _FailingHandler)
        self.answer = answer
        self.num_requests = 0


class _FailingHandler(socketserver.BaseRequestHandler):
    server: _FailingServer

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.server.num_requests += 1
        self.request.sendall(self.server.answer)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", ["read", "exists"])
def test_failing_store_is_tried_again_and_named(
    monkeypatch: pytest.MonkeyPatch, answer: str, call: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with _FailingServer(ANSWERS[answer]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        storage = open_storage("s3://bucket/x", StorageSpec(endpoint_url=url, region="us-east-1"))
        with pytest.raises(StorageError, match=f"object store at {url} failed: s3://bucket/x/a"):
            _call(storage, call, tmp_path)
        server.shutdown()
    assert 2 <= server.num_requests <= 8


def _call(storage: Storage, call: str, folder: Path) -> None:
    match call:
        case "read":
            storage.read("a")
        case "exists":
            storage.exists("a")
        case "list":
            storage.list("a")
        case "write":
            storage.write("a", b"x")
        case "create":
            storage.create("a", b"x")
        case "upload":
            (folder / "file").write_bytes(b"x")
            storage.upload("a", folder / "file")
