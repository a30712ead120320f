"""Nodes of a cluster, and whether a pod would find room on them. Pure functions over dicts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.pods import Reason, name_of

_BINDING = {"NoSchedule", "NoExecute"}
"""Effects of taints that keep pods away; the third kind is a wish."""
_KUBERNETES = "node.kubernetes.io/"
"""Taints with which Kubernetes itself keeps pods from nodes for a while."""


def nodes_for(pod: Object, nodes: Iterable[Object]) -> list[Object]:
    """Those on which a pod would find room, were they empty.

    Args:
        pod: or its template.
        nodes: of the cluster.
    """
    return [node for node in _schedulable(pod, nodes) if not _lacks(pod, node)]


def without_devices(pod: Object, nodes: Iterable[Object]) -> list[Object]:
    """Those that lack nothing but devices, of which they offer none: GPUs without their plugin."""
    return [
        node
        for node in _schedulable(pod, nodes)
        if (lacking := _lacks(pod, node))
        and all("/" in noun and has in {"", "0"} for noun, (has, _) in lacking.items())
    ]


def why_none(key: str, pod: Object, nodes: Sequence[Object]) -> Reason:
    """Why no node that is there would do now; others may come.

    Args:
        key: of the pod's size and place in the profile, such as `pools.cpu`.
        pod: or its template.
        nodes: of the cluster, none of which would do.
    """
    labelled = [node for node in nodes if _has_labels(pod, node)]
    if not labelled:
        labels = ", ".join(f"{name}={value}" for name, value in _selector(pod).items())
        return Reason(
            sentence=f"of {len(nodes)} nodes, none has {labels}",
            hint="fine where nodes come when pods wait for them; else "
            f"`{key}.nodeSelector` of the profile is wrong",
        )
    allowed = [*_schedulable(pod, labelled)]
    if not allowed:
        taints = sorted({taint for node in labelled for taint in _taints(pod, node)})
        return _kept_away(key, taints, len(labelled))
    nearest = min(allowed, key=lambda node: len(_lacks(pod, node)))
    lacking = ", ".join(
        f"{has or 0} of {wants} {noun}" for noun, (has, wants) in _lacks(pod, nearest).items()
    )
    return Reason(
        sentence=f"{_nodes(len(allowed))} its labels, and none is large enough: "
        f"`{name_of(nearest)}` has {lacking}",
        hint=f"fine where larger nodes come when pods wait for them; else lower `{key}` of the "
        "profile",
    )


def _kept_away(key: str, taints: Sequence[str], count: int) -> Reason:
    verb = "a taint keeps" if len(taints) == 1 and count == 1 else "taints keep"
    hint = "nodes are not ready, or cordoned: `kubectl get nodes` shows which"
    if not all(taint.startswith(_KUBERNETES) for taint in taints):
        hint = f"`{key}.tolerations` of the profile names the taints of nodes that are for its pods"
    named = ", ".join(f"`{taint}`" for taint in taints)
    return Reason(sentence=f"{_nodes(count)} its labels, and {verb} pods away: {named}", hint=hint)


def _nodes(count: int) -> str:
    return "1 node has" if count == 1 else f"{count} nodes have"


def _schedulable(pod: Object, nodes: Iterable[Object]) -> list[Object]:
    return [node for node in nodes if _has_labels(pod, node) and not _taints(pod, node)]


def _selector(pod: Object) -> Mapping[str, str]:
    return pod["spec"].get("nodeSelector") or {}


def _has_labels(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    return _selector(pod).items() <= labels.items()


def _taints(pod: Object, node: Object) -> list[str]:
    """Taints that keep the pod away."""
    taints = (node.get("spec") or {}).get("taints") or []
    tolerations = pod["spec"].get("tolerations") or []
    return [
        taint["key"]
        for taint in taints
        if taint.get("effect") in _BINDING
        and not any(_tolerates(one, taint) for one in tolerations)
    ]


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in {None, taint.get("effect")}:
        return False
    is_any = toleration.get("operator", "Equal") == "Exists"
    if toleration.get("key") != taint["key"]:
        return is_any and not toleration.get("key")
    return is_any or str(toleration.get("value") or "") == str(taint.get("value") or "")


def _lacks(pod: Object, node: Object) -> dict[str, tuple[str, str]]:
    """Of what an empty node has too little: how much it has, and how much is wanted."""
    has = (node.get("status") or {}).get("allocatable") or {}
    wants: dict[str, Decimal] = defaultdict(Decimal)
    said: dict[str, str] = {}
    for container in pod["spec"]["containers"]:
        for noun, quantity in ((container.get("resources") or {}).get("requests") or {}).items():
            said[noun] = str(quantity) if noun not in wants else f"{said[noun]} + {quantity}"
            wants[noun] += _number(str(quantity))
    return {
        noun: (str(has.get(noun, "")), said[noun])
        for noun, wanted in wants.items()
        if _number(str(has.get(noun, 0))) < wanted
    }


def _number(quantity: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity  # loads the whole client

    return Decimal(parse_quantity(quantity))
