"""Network policies where they hold: between network stacks, by a packet filter."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from tests.helm.network import Peer, role
from tests.helm.render import KubernetesObject
from tests.pod_network import Place, pod_network

pytestmark = pytest.mark.multiprocess

ROLES = ("head", "worker", "submitter", "tracking", "object-store")
DASHBOARD, MLFLOW, S3, HTTPS, SOME = 8265, 5000, 8333, 443, 31337
LISTENERS = (
    ("head", DASHBOARD),
    ("head", SOME),
    ("worker", SOME),
    ("tracking", MLFLOW),
    ("object-store", S3),
    ("internet", HTTPS),
    ("internet", S3),
)
_SERVE = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
while True:
    server.accept()[0].close()
"""
_ASK = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.5)
"""


@pytest.fixture(scope="module")
def places(charts: dict[str, list[KubernetesObject]]) -> Iterator[Mapping[str, Place]]:
    """A pod of each role, one of somebody else, and an address outside; all listen."""
    peers = {
        **{name: role(name) for name in ROLES},
        "stranger": Peer(labels={"app": "somebody-else"}),
        "internet": Peer(address="203.0.113.9"),
    }
    with pod_network(charts["object-store"], peers, {}) as found, ExitStack() as servers:
        for name, port in LISTENERS:
            servers.enter_context(listening(found[name], port))
        yield found


@contextmanager
def listening(place: Place, port: int) -> Iterator[None]:
    command = place.command(sys.executable, "-c", _SERVE, str(port))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield
        finally:
            server.kill()


def connects(sender: Place, receiver: Place, port: int) -> bool:
    command = sender.command(sys.executable, "-c", _ASK, receiver.address, str(port))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "TimeoutError" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("sender", "receiver", "port"),
    [
        ("head", "worker", SOME),
        ("worker", "head", SOME),
        ("submitter", "head", DASHBOARD),
        ("head", "tracking", MLFLOW),
        ("worker", "object-store", S3),
        ("tracking", "object-store", S3),
        ("stranger", "internet", HTTPS),
    ],
)
def test_what_pods_need(places: Mapping[str, Place], sender: str, receiver: str, port: int) -> None:
    assert connects(places[sender], places[receiver], port)


@pytest.mark.parametrize(
    ("sender", "receiver", "port"),
    [
        *((name, "internet", HTTPS) for name in ROLES if name != "head"),
        ("head", "internet", S3),
        ("worker", "tracking", MLFLOW),
        ("submitter", "head", SOME),
        ("submitter", "object-store", S3),
        ("stranger", "head", DASHBOARD),
        ("stranger", "worker", SOME),
        ("stranger", "tracking", MLFLOW),
        ("stranger", "object-store", S3),
    ],
)
def test_what_is_kept_from_them(
    places: Mapping[str, Place], sender: str, receiver: str, port: int
) -> None:
    """Also the internet: none of them but a head, whose autoscaler calls the API server."""
    assert not connects(places[sender], places[receiver], port)
    if sender != "stranger":  # nothing selects it, so it is the receiver that listens to nobody
        assert (places[receiver].address, port) in places[sender].refused()


def test_names_that_are_asked_for_are_remembered(places: Mapping[str, Place]) -> None:
    """A question that nobody answers sends no packet that a policy could refuse."""
    ask = "import socket\nsocket.getaddrinfo('nobody.example.org', 443)"
    command = places["worker"].command(sys.executable, "-c", ask)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "gaierror" in done.stderr
    assert places["worker"].asked() == {"nobody.example.org"}
    assert places["head"].asked() == set()
