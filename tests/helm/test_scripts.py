"""What `helm test` runs in the cluster, run here against something real."""

import datetime
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pricon.spec.load import load_job
from tests.helm.render import CHART, KubernetesObject, named

TOKEN = "token of the pod"


def run(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(CHART / "files" / script)],
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class AccessReviews(BaseHTTPRequestHandler):
    """An API server that answers SelfSubjectAccessReviews by the rules of a Role."""

    rules: list[dict[str, Any]]

    def do_POST(self) -> None:
        assert self.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = review["spec"]["resourceAttributes"]
        assert asked["namespace"] == "affect"
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        allowed = any(
            asked["verb"] in rule["verbs"]
            and asked["group"] in rule["apiGroups"]
            and resource in rule["resources"]
            for rule in self.rules
        )
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(201 if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(review | {"status": {"allowed": allowed}}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is its own."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a service account: a token and the authority of the API server."""
    folder = tmp_path_factory.mktemp("account")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "token").write_text(TOKEN + "\n")
    return folder


@pytest.fixture
def api_server(account: Path) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), AccessReviews) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(account / "ca.crt", account / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("change", "exit_code", "expected"),
    [
        (None, 0, "41 permissions are as they should be"),
        (
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            1,
            "the submitter's account may get secrets",
        ),
        ("take pods away", 1, "the submitter's account may not list pods"),
    ],
)
def test_permissions(
    charts: dict[str, list[KubernetesObject]],
    api_server: int,
    account: Path,
    change: Any,
    exit_code: int,
    expected: str,
) -> None:
    rules = list(named(charts["default"], "Role", "pricon-submitter")["rules"])
    if isinstance(change, dict):
        rules.append(change)
    elif change:
        rules = [rule for rule in rules if "pods" not in rule["resources"]]
    AccessReviews.rules = rules
    done = run(
        "check_permissions.py",
        ACCOUNT=str(account),
        NAMESPACE="affect",
        KUBERNETES_SERVICE_HOST="127.0.0.1",
        KUBERNETES_SERVICE_PORT=str(api_server),
    )
    assert done.returncode == exit_code, done.stderr
    assert expected in done.stdout + done.stderr


def test_network_that_is_closed_and_one_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        open_port = listening.getsockname()[1]
        done = run("check_network.py", MUST_NOT_REACH=f"localhost:{open_port}", SETTLED_S="0")
        assert done.returncode == 1
        assert f"localhost:{open_port}: reached, against the network policies" in done.stderr
        assert "hint: install a network plugin that enforces policies" in done.stderr
    done = run("check_network.py", MUST_NOT_REACH=f"localhost:{open_port}", TIMEOUT_S="1")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tiny_job_is_one() -> None:
    job = load_job(CHART / "files" / "tiny.yaml")
    assert (job.folds.count, job.seeds) == (2, (0,))
    assert job.corpus.generate is not None
