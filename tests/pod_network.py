"""A network of pods on this machine, without containers: network policies that hold.

Each pod has a network namespace with an address and a host name, a bridge joins them, and a packet
filter (nftables) in each lets through what policies allow. This machine is the node of all pods,
which no policy keeps out. Pods know each other's names; for all others they ask the node, which
knows none and remembers who asked.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.helm.network import Peer, may_connect
from tests.helm.render import KubernetesObject
from tests.pod_names import name_server

_ANY = 23456  # a port that no policy names
_FILTER = """
table inet policies {{
    set refused {{
        type ipv4_addr . inet_proto . inet_service
        size 4096
        flags dynamic
    }}
    chain incoming {{
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif lo accept
        ip saddr {node} accept
        {incoming}
    }}
    chain outgoing {{
        type filter hook output priority 0; policy drop;
        ct state established,related accept
        oif lo accept
        ip daddr {node} accept
        {outgoing}
        add @refused {{ ip daddr . meta l4proto . th dport }}
    }}
}}
"""


@cache
def _can_join_pods() -> bool:
    """Whether this machine lets us make all that a network is made of: root, Linux, the tools."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "nft"))):
        return False
    name = f"probe{os.getpid()}"
    make = (
        f"ip netns add {name} && ip link add {name} type bridge "
        f"&& ip link add {name}.0 type veth peer eth0 netns {name} "
        f"&& ip netns exec {name} nft add table inet probe"
    )
    made = subprocess.run(make, shell=True, capture_output=True, check=False)
    for what in (("link", f"{name}.0"), ("link", name), ("netns", name)):
        subprocess.run(["ip", what[0], "delete", what[1]], capture_output=True, check=False)
    return made.returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pod is in the network.

    Args:
        name: its host name.
        address: its own.
        space: its network namespace.
        names: that pods asked the node for, by their addresses.
    """

    name: str
    address: str
    space: str
    names: Mapping[str, set[str]]

    def command(self, *command: str) -> list[str]:
        """What to start for `command` to run here."""
        named = ["sh", "-c", 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"', self.name]
        return ["ip", "netns", "exec", self.space, "unshare", "--uts", *named, *command]

    def asked(self) -> set[str]:
        """Names that were asked for from here, and are no pod's."""
        return self.names.get(self.address, set())

    def end(self) -> None:
        """Kill all that runs here; returns when nothing does any more."""
        while found := self._processes():
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        command = ["ip", "netns", "pids", self.space]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return [process for process in map(int, found.stdout.split()) if not _is_dead(process)]

    def refused(self) -> set[tuple[str, int]]:
        """Addresses and ports that were tried from here and no policy allows."""
        shown = _run("ip", "netns", "exec", self.space, "nft", "-j", "list", "ruleset")
        (found,) = (entry["set"] for entry in json.loads(shown)["nftables"] if "set" in entry)
        tried = [entry["concat"] for entry in found.get("elem", [])]
        return {(address, port) for address, _protocol, port in tried}


@dataclass(frozen=True, slots=True)
class _Bridge:
    """What joins the pods: `10.77.<number>.1` is the node's address among them."""

    number: int

    @property
    def name(self) -> str:
        return f"pods{self.number}"

    def address(self, host: int) -> str:
        return f"10.77.{self.number}.{host}"


@contextmanager
def _bridge() -> Iterator[_Bridge]:
    """One that no other process has."""
    number = next(number for number in range(1, 255) if _takes(_Bridge(number).name))
    bridge = _Bridge(number)
    try:
        _run("ip", "address", "add", f"{bridge.address(1)}/24", "dev", bridge.name)
        _run("ip", "link", "set", bridge.name, "up")
        yield bridge
    finally:
        _delete_link(bridge.name)


def _takes(name: str) -> bool:
    command = ["ip", "link", "add", name, "type", "bridge"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def pod_network(
    policies: Sequence[KubernetesObject],
    peers: Mapping[str, Peer],
    services: Mapping[str, str],
) -> Iterator[dict[str, Place]]:
    """Places in a new network, by the names of `peers`.

    Args:
        policies: objects, of which the network policies hold.
        peers: labels and namespace of each pod; or the address of one outside of the cluster.
        services: name -> name of the pod that answers to it.
    """
    if not _can_join_pods():
        pytest.skip("a network of pods needs root, iproute2, nftables and a kernel that has them")
    known = {**{name: name for name in peers}, **services}
    with _bridge() as bridge, name_server(bridge.address(1), known) as names:
        places = {
            name: Place(
                name=name,
                address=peer.address or bridge.address(10 + index),
                space=f"{bridge.name}-{name}",
                names=names,
            )
            for index, (name, peer) in enumerate(peers.items())
        }
        try:
            for number, place in enumerate(places.values()):
                _resolve(place, places, known, bridge.address(1))
                _join(place, bridge, f"{bridge.name}.{number}")
            for name, peer in peers.items():
                if peer.address is None:
                    _filter(places, policies, peers, name, bridge.address(1))
            yield places
        finally:
            for number, place in enumerate(places.values()):
                _leave(place, f"{bridge.name}.{number}")


def _resolve(
    place: Place, places: Mapping[str, Place], known: Mapping[str, str], node: str
) -> None:
    """Names as `ip netns exec` mounts them."""
    folder = Path("/etc/netns") / place.space
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{places[pod].address} {name}" for name, pod in known.items()]
    (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    (folder / "resolv.conf").write_text(f"nameserver {node}\n")


def _join(place: Place, bridge: _Bridge, outer: str) -> None:
    inner = ("-n", place.space)
    _run("ip", "netns", "add", place.space)
    _run(*("ip", "link", "add", outer, "type", "veth"), *("peer", "eth0", "netns", place.space))
    _run("ip", "link", "set", outer, "master", bridge.name, "up")
    _run("ip", *inner, "address", "add", f"{place.address}/32", "dev", "eth0")
    for device in ("lo", "eth0"):
        _run("ip", *inner, "link", "set", device, "up")
    # Every address is a neighbour, those outside of the cluster as well.
    _run("ip", *inner, "route", "add", "default", "dev", "eth0", "scope", "link")


def _filter(
    places: Mapping[str, Place],
    policies: Sequence[KubernetesObject],
    peers: Mapping[str, Peer],
    name: str,
    node: str,
) -> None:
    """Put one pod's filter in place."""
    others = [other for other in peers if other != name]
    incoming = [
        f"ip saddr {places[other].address} {rule}"
        for other in others
        for rule in _open(policies, peers[other], peers[name])
    ]
    outgoing = [
        f"ip daddr {places[other].address} {rule}"
        for other in others
        for rule in _open(policies, peers[name], peers[other])
    ]
    text = _FILTER.format(node=node, incoming="\n".join(incoming), outgoing="\n".join(outgoing))
    _run("ip", "netns", "exec", places[name].space, "nft", "-f", "-", text=text)


def _open(policies: Sequence[KubernetesObject], sender: Peer, receiver: Peer) -> Iterator[str]:
    """What the filter says of connections that one pod may open to another."""
    if may_connect([*policies], sender, receiver, _ANY):
        yield "meta l4proto tcp accept"
        return
    for port, protocol in sorted(_named_ports(policies)):
        if may_connect([*policies], sender, receiver, port, protocol):
            yield f"{protocol.lower()} dport {port} accept"


def _named_ports(policies: Sequence[KubernetesObject]) -> set[tuple[int, str]]:
    return {
        (port["port"], port.get("protocol", "TCP"))
        for policy in policies
        if policy["kind"] == "NetworkPolicy"
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        for port in rule.get("ports", [])
    }


def _leave(place: Place, outer: str) -> None:
    place.end()
    # Not left to the end of the namespace, which comes when its last process has gone.
    _delete_link(outer)
    subprocess.run(["ip", "netns", "delete", place.space], capture_output=True, check=False)
    shutil.rmtree(Path("/etc/netns") / place.space, ignore_errors=True)


def _delete_link(name: str) -> None:
    subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def _is_dead(process: int) -> bool:
    """Whether it has ended, and its parent only has not asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
