"""Ray's client in a process of its own; a whole connection is in test_ray_jobs.py."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from ray.core.generated.ray_client_pb2 import (  # type: ignore[attr-defined]
    ClusterInfoResponse,
    DataResponse,
    InitResponse,
)
from ray.core.generated.ray_client_pb2_grpc import (
    RayletDataStreamerServicer,
    RayletDriverServicer,
    add_RayletDataStreamerServicer_to_server,
    add_RayletDriverServicer_to_server,
)

from pricon.errors import LaunchError
from pricon.launch.ray_client import ask_dashboard
from pricon.launch.ray_dashboard import Patience
from pricon.launch.ray_jobs import BusyError, RayJobs


def test_what_ray_refuses_is_told_whole() -> None:
    with pytest.raises(RuntimeError, match=r"gopher") as caught:
        ask_dashboard("gopher://127.0.0.1:9", 60.0)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_waits_for_ever() -> None:
    with pytest.raises(TimeoutError, match=r"did not connect within 0\.1 s"):
        ask_dashboard("ray://127.0.0.1:9", 0.1)


@pytest.mark.multiprocess
def test_a_cluster_too_busy_for_a_client_is_asked_again() -> None:
    """It answers, so its address is right; the server that it forks for a client may have died."""
    with overloaded(until=2) as (address, clients):
        with pytest.raises(LaunchError, match=f"{address} asks for a token"):
            RayJobs(address, Patience(first_s=0.0, known_s=120.0))
        assert clients.turned_away == 2


@pytest.mark.multiprocess
def test_a_cluster_that_lets_no_client_in_is_told() -> None:
    with overloaded(until=99) as (address, _clients):
        words = f"a Ray cluster answers at {address}, and lets no client in\n  Ray's client did not"
        with pytest.raises(BusyError, match=words) as caught:
            RayJobs(address, Patience(first_s=0.0, known_s=0.0))
    assert "its dashboard" in str(caught.value.hint)


@dataclass
class Clients(RayletDriverServicer, RayletDataStreamerServicer):
    """The port for Ray's clients of a cluster that answers, and has no server to give them.

    Args:
        until: so many clients were turned away; whoever comes then needs a token.
    """

    until: int
    turned_away: int = 0

    def ClusterInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if self.turned_away == self.until:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        return ClusterInfoResponse(type=request.type, json="{}")

    def Datapath(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        next(requests)
        self.turned_away += 1
        yield DataResponse(init=InitResponse(ok=False, msg="Starting Ray client server failed"))


@contextmanager
def overloaded(until: int) -> Iterator[tuple[str, Clients]]:
    clients = Clients(until)
    pool = ThreadPoolExecutor(4)
    server = grpc.server(pool)
    add_RayletDriverServicer_to_server(clients, server)  # type: ignore[no-untyped-call]
    add_RayletDataStreamerServicer_to_server(clients, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"ray://127.0.0.1:{port}", clients
    finally:
        server.stop(None).wait()
        pool.shutdown()
