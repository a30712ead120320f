"""Ports on loopback for servers that a test starts."""

import os
import random
import socket
from contextlib import ExitStack

# The kernel gives clients and port 0 theirs from 32768 on, Ray its workers theirs below 20000. A
# port from those may be gone between the moment that it is found free and that the server asks.
_FIRST, _LAST = 20_000, 32_767


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports that nothing has now, and that no other process of this suite is given."""
    _, _, number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").partition("gw")
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = range(_FIRST + int(number), _LAST + 1, processes)
    with ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(mine, len(mine)):
            if _take(port, held):
                ports.append(port)
            if len(ports) == count:
                return ports
    raise RuntimeError(f"fewer than {count} ports are free")


def _take(port: int, held: ExitStack) -> bool:
    probe = held.enter_context(socket.socket())
    try:
        probe.bind(("", port))
    except OSError:
        return False
    return True
