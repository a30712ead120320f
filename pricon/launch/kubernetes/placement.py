"""Nodes of a cluster, and whether the pods of a pool may run on them. Pure functions over dicts."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.pods import Reason, name_of
from pricon.spec.profile import PlacementSpec, PoolSpec, TolerationSpec

_BINDING = {"NoSchedule", "NoExecute"}
"""Effects of taints that keep pods away; the third kind is a wish."""
_KUBERNETES = "node.kubernetes.io/"
"""Taints with which Kubernetes itself keeps pods from nodes for a while."""


def nodes_for(place: PlacementSpec, nodes: Iterable[Object]) -> list[Object]:
    """Those on which a pod would find room, were they empty."""
    return [
        node
        for node in nodes
        if _has_labels(place, node) and not _taints(place, node) and not _lacks(place, node)
    ]


def why_none(key: str, place: PlacementSpec, nodes: Sequence[Object]) -> Reason | None:
    """Why no node that is there would do; None where none has the labels: others may come.

    Args:
        key: of the placement in the profile, such as `pools.cpu`.
        place: of the pods.
        nodes: of the cluster, none of which would do.
    """
    labelled = [node for node in nodes if _has_labels(place, node)]
    if not labelled:
        return None
    allowed = [node for node in labelled if not _taints(place, node)]
    if not allowed:
        return _kept_away(
            key,
            sorted({taint for node in labelled for taint in _taints(place, node)}),
            len(labelled),
        )
    nearest = min(allowed, key=lambda node: len(_lacks(place, node)))
    return Reason(
        sentence=f"{_nodes(len(allowed))} its labels, and none is large enough: "
        f"`{name_of(nearest)}` has {', '.join(_lacks(place, nearest))}",
        hint=f"lower `{key}` of the profile, or add larger nodes; a node that has no GPU at all "
        "lacks its device plugin",
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


def _has_labels(place: PlacementSpec, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    return place.node_selector.items() <= labels.items()


def _taints(place: PlacementSpec, node: Object) -> list[str]:
    """Taints that keep the pods away."""
    taints = (node.get("spec") or {}).get("taints") or []
    return [
        taint["key"]
        for taint in taints
        if taint.get("effect") in _BINDING
        and not any(_tolerates(one, taint) for one in place.tolerations)
    ]


def _tolerates(toleration: TolerationSpec, taint: Object) -> bool:
    if toleration.effect not in {None, taint.get("effect")} or toleration.key != taint["key"]:
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", "")


def _lacks(place: PlacementSpec, node: Object) -> list[str]:
    """Of what an empty node has too little, in words."""
    has = (node.get("status") or {}).get("allocatable") or {}
    return [
        f"{has.get(noun, 0)} of {wants} {noun}"
        for noun, wants in _wants(place)
        if _number(str(has.get(noun, 0))) < _number(wants)
    ]


def _wants(place: PlacementSpec) -> Iterator[tuple[str, str]]:
    yield "cpu", f"{place.cpus:g}"
    yield "memory", place.memory
    yield "ephemeral-storage", place.scratch
    if isinstance(place, PoolSpec) and place.gpus:
        yield place.gpu_resource, str(place.gpus)


def _number(quantity: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity  # loads the whole client

    return Decimal(parse_quantity(quantity))
