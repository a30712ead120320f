"""Who may talk to whom under a set of NetworkPolicies, as Kubernetes defines it.

A pod that no policy of a direction selects is open in that direction; any other takes what one of
them allows. A connection needs the sender's egress and the receiver's ingress.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.helm.render import NAMESPACE, KubernetesObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A pod, or an address outside of the cluster (`address`)."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    address: str | None = None


def role(name: str) -> Peer:
    """A pod of the release's namespace with this `pricon.dev/role`."""
    return Peer(labels={"pricon.dev/role": name})


def may_connect(
    objects: list[KubernetesObject], sender: Peer, receiver: Peer, port: int, protocol: str = "TCP"
) -> bool:
    """Whether `sender` may open a connection to that port of `receiver`."""
    policies = [entry for entry in objects if entry["kind"] == "NetworkPolicy"]
    return _passes(policies, "Egress", sender, receiver, (port, protocol)) and _passes(
        policies, "Ingress", receiver, sender, (port, protocol)
    )


def _passes(
    policies: list[KubernetesObject], way: str, pod: Peer, other: Peer, port: tuple[int, str]
) -> bool:
    if pod.address is not None:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if pod.namespace == policy["metadata"]["namespace"]
        and way in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    key, peers = ("egress", "to") if way == "Egress" else ("ingress", "from")
    rules = [rule for spec in selecting for rule in spec.get(key, [])]
    return not selecting or any(_allows(rule, peers, other, port) for rule in rules)


def _allows(rule: dict[str, Any], peers: str, other: Peer, port: tuple[int, str]) -> bool:
    ports = rule.get("ports")
    is_port = ports is None or any(
        (entry["port"], entry.get("protocol", "TCP")) == port for entry in ports
    )
    listed = rule.get(peers)
    return is_port and (not listed or any(_matches(entry, other) for entry in listed))


def _matches(entry: dict[str, Any], other: Peer) -> bool:
    if block := entry.get("ipBlock"):
        if other.address is None:
            return False
        excluded = [ip_network(cidr) for cidr in block.get("except", [])]
        address = ip_address(other.address)
        return address in ip_network(block["cidr"]) and not any(address in net for net in excluded)
    if other.address is not None:
        return False
    spaces = entry.get("namespaceSelector")
    is_space = (
        other.namespace == NAMESPACE
        if spaces is None
        else selects(spaces, {"kubernetes.io/metadata.name": other.namespace})
    )
    return is_space and selects(entry.get("podSelector", {}), other.labels)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector picks a pod with these labels."""
    wanted = selector.get("matchLabels", {})
    return wanted.items() <= labels.items() and all(
        _holds(rule, labels) for rule in selector.get("matchExpressions", [])
    )


def _holds(rule: dict[str, Any], labels: dict[str, str]) -> bool:
    has = rule["key"] in labels
    match rule["operator"]:
        case "Exists":
            return has
        case "In":
            return has and labels[rule["key"]] in rule["values"]
    raise AssertionError(f"unknown operator {rule['operator']}")
