"""Objects of other people's operators, held strictly: a key that is not written here is an error.

No package that we install carries their schemas, so this is what their documented APIs say of the
keys that the chart uses. Compared by hand with Kueue's types (`apis/kueue/v1beta2` of its
repository), and with the npm packages `@kubernetes-models/prometheus-operator` 6.0 and
`@kubernetes-models/external-secrets` 2.0, which are made of the operators' CRDs. Whoever adds a key
to a template looks it up there.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
NAME: Schema = {
    "type": "string",
    "maxLength": 253,
    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}
QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$"}


def closed(**properties: Schema) -> Schema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """At least one of these."""
    return {"type": "array", "items": items, "minItems": 1}


_METADATA: Schema = {
    "type": "object",
    "properties": {"name": NAME, "namespace": NAME, "labels": LABELS},
    "required": ["name", "labels"],
    "additionalProperties": False,
}
_EXPRESSION = closed(
    key=TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values=list_of(TEXT)
)
_RELABELLING = closed(
    sourceLabels=list_of({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}),
    targetLabel=TEXT,
)
_POD_MONITOR = closed(
    selector=closed(matchExpressions=list_of(_EXPRESSION)),
    podMetricsEndpoints=list_of(
        closed(
            port=TEXT,
            interval={"type": "string", "pattern": "^([0-9]+(ms|[ywdhms]))+$"},
            relabelings=list_of(_RELABELLING),
        )
    ),
)
_EXTERNAL_SECRET = closed(
    refreshInterval={"type": "string", "pattern": "^([0-9]+(ms|[hms]))+$"},
    secretStoreRef=closed(kind={"enum": ["SecretStore", "ClusterSecretStore"]}, name=NAME),
    target=closed(name=NAME, creationPolicy={"enum": ["Owner", "Orphan", "Merge", "None"]}),
    dataFrom=list_of(closed(extract=closed(key=TEXT))),
)
_CLUSTER_QUEUE = closed(
    namespaceSelector=closed(matchLabels=LABELS),
    resourceGroups=list_of(
        closed(
            coveredResources=list_of(TEXT),
            flavors=list_of(
                closed(name=NAME, resources=list_of(closed(name=TEXT, nominalQuota=QUANTITY)))
            ),
        )
    ),
)
_SPECS: dict[tuple[str, str], Schema] = {
    ("monitoring.coreos.com/v1", "PodMonitor"): _POD_MONITOR,
    ("external-secrets.io/v1", "ExternalSecret"): _EXTERNAL_SECRET,
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): closed(clusterQueue=NAME),
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): closed(),
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): _CLUSTER_QUEUE,
}


def foreign_schema(api: str, kind: str) -> Schema | None:
    """Of a whole object; None where the kind is not one of other people's operators."""
    spec = _SPECS.get((api, kind))
    if spec is None:
        return None
    return closed(apiVersion={"const": api}, kind={"const": kind}, metadata=_METADATA, spec=spec)
