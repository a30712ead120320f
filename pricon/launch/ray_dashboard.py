"""The dashboard of a Ray cluster: where it is, and requests to it that end.

Owns addresses and timeouts, not what is asked, nor how often.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated.ray_client_pb2 import (  # type: ignore[attr-defined]
    ClusterInfoRequest,
    ClusterInfoType,
)
from ray.core.generated.ray_client_pb2_grpc import RayletDriverStub
from ray.dashboard.modules.dashboard_sdk import SubmissionClient
from ray.dashboard.utils import get_address_for_submission_client
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from pricon.launch.ray_client import ask_dashboard

_CLIENT_PAUSE_S = 1.0


class UnwellError(RuntimeError):
    """The dashboard, or something in front of it, has troubles of its own or too many visitors.

    Args:
        said: what it answered.
        after_s: how long it asks to be left alone.
    """

    def __init__(self, said: str, after_s: float = 0.0) -> None:
        super().__init__(said)
        self.after_s = after_s


class NoClientError(UnwellError):
    """The cluster is there and lets no client in: on a busy one, the servers for them may die.

    Args:
        said: by the client.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said, after_s=_CLIENT_PAUSE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for a Ray cluster, in seconds.

    Args:
        connect_s: for a connection.
        read_s: for the next bytes of an answer.
        client_s: for Ray's client, which has a server started for itself.
        silent_s: for an answer, without a word: who hears nothing presses Ctrl-C.
        first_s: tries go on until then, of a cluster that has never answered: its address may be
            wrong.
        known_s: of one that has.
    """

    connect_s: float = 5.0
    read_s: float = 20.0
    client_s: float = 60.0
    silent_s: float = 3.0
    first_s: float = 8.0
    known_s: float = 60.0


class Dashboard(JobSubmissionClient):
    """Ray's own client, all requests of which end, and go to the address that is given.

    Ray's lets RAY_API_SERVER_ADDRESS and RAY_ADDRESS take the place of what it is given, and waits
    for ever: hence not its constructor but the one below it.

    Args:
        address: `http://...`.
        patience: with its requests.
    """

    def __init__(self, address: str, patience: Patience) -> None:
        self.timeout = (patience.connect_s, patience.read_s)
        SubmissionClient.__init__(self, address)
        self.get_version()

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        answer = super()._do_request(method, endpoint, timeout=self.timeout, **options)
        if answer.status_code == 429 or answer.status_code >= 500:
            asked_s = answer.headers.get("Retry-After", "")  # or a date, which nobody sends
            after_s = float(asked_s) if asked_s.isdecimal() else 0.0
            raise UnwellError(f"status {answer.status_code}: {answer.text}", after_s)
        return answer


def dashboard_of(address: str, patience: Patience) -> str:
    """The address of a cluster's dashboard.

    Args:
        address: the dashboard's; `ray://host:10001`, where it is asked for; or `auto`, that of the
            cluster to which this process belongs, as its environment says.
        patience: with the cluster.

    Raises:
        OSError: nothing answers.
        NoClientError: the cluster does, but lets no client in.
        AuthenticationError: it wants a token.
    """
    if address == "auto":
        return get_address_for_submission_client(address)
    if urlsplit(address).scheme != "ray":
        return address
    _greet(urlsplit(address).netloc, patience)
    try:
        return f"http://{ask_dashboard(address, patience.client_s)}"
    except (ConnectionError, TimeoutError) as err:
        raise NoClientError(str(err)) from err


def _greet(place: str, patience: Patience) -> None:
    """Ask for a sign of life: Ray's client tries for 30 s, and says nothing of tokens."""
    channel = init_grpc_channel(place)
    try:
        grpc.channel_ready_future(channel).result(timeout=patience.connect_s)
        ping = ClusterInfoRequest(type=ClusterInfoType.PING)
        server = RayletDriverStub(channel)  # type: ignore[no-untyped-call]
        server.ClusterInfo(ping, timeout=patience.read_s)
    except grpc.FutureTimeoutError as err:
        raise TimeoutError(f"nothing of Ray's within {patience.connect_s:g} s") from err
    except grpc.RpcError as err:
        if err.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
            raise AuthenticationError(err.details()) from err
        raise ConnectionError(err.details()) from err
    finally:
        channel.close()
