"""Objects of a cluster as they may be shown to others: without credentials and bookkeeping. Pure.

Pods of pricon name secrets and hold none. Somebody's webhook, or a RayJob that was changed by hand,
may put one anywhere all the same; what a text looks like is judged in
`pricon.launch.kubernetes.credentials`.
"""

from typing import Any

from pricon.launch.kubernetes.client import Object
from pricon.launch.kubernetes.credentials import (
    REMOVED,
    is_credential,
    takes_credential,
    without_credentials,
)

HARMLESS = frozenset({
    "HOME", "PYTHONUNBUFFERED", "RAY_USAGE_STATS_ENABLED", "RAY_USAGE_STATS_REPORT_URL",
    "RAY_JOB_STOP_WAIT_TIME_S", "PRICON_LEAVING",
    "AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION",
    # KubeRay's
    "FQ_RAY_IP", "KUBERAY_CRD_VER", "KUBERAY_GEN_RAY_START_CMD", "RAY_ADDRESS", "RAY_AUTH_MODE",
    "RAY_CLOUD_INSTANCE_ID", "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE", "RAY_DASHBOARD_ADDRESS",
    "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "RAY_ENABLE_AUTOSCALER_V2", "RAY_IP",
    "RAY_JOB_SUBMISSION_ID", "RAY_NODE_TYPE_NAME", "RAY_PORT", "RAY_USAGE_STATS_EXTRA_TAGS",
    "RAY_USAGE_STATS_KUBERAY_IN_USE", "RAY_gcs_server_request_timeout_seconds",
    "RAY_timeout_ms_task_wait_for_death_info",
})  # fmt: skip
"""Variables whose values are shown. Of others nobody knows: `DB` may be an address."""

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation: an object as text, in which nothing could be told apart."""
_FREE = frozenset({"annotations", "data"})
"""Mappings in which every key was invented by somebody."""
_SELECTING = frozenset({"labels", "matchLabels", "nodeSelector"})
"""Mappings by which objects are found: names on both sides."""
_NAMES = frozenset({"key", "keyPath", "keyType", "topologyKey", "credentialBundlePath"})
"""Keys of Kubernetes whose values are names or paths, whatever they sound like."""


def redacted(body: Object) -> Object:
    """A copy without what looks like a credential, and without `managedFields`.

    Removed are values of variables that neither pricon nor KubeRay is known to set, of headers of
    probes, of keys that sound like a credential; and in all texts what comes after such a name,
    and users and passwords of addresses.

    >>> redacted({"env": [{"name": "API_TOKEN", "value": "abc"}]})
    {'env': [{'name': 'API_TOKEN', 'value': '(removed)'}]}
    """
    return _mapping(body, "")


def _mapping(body: Object, within: str) -> Object:
    return {
        key: REMOVED if _is_removed(key, body, within) else _value(value, key)
        for key, value in body.items()
        if key != "managedFields"
    }


def _is_removed(key: str, body: Object, within: str) -> bool:
    """Whether a text goes as a whole. What is empty says so."""
    if not isinstance(body[key], str) or not body[key]:
        return False
    if key == "value" and within not in _FREE:
        name = str(body.get("name"))
        if within == "env":
            return name not in HARMLESS
        return within == "httpHeaders" or is_credential(name) or is_credential(within)
    if within in _FREE:
        return key == _APPLIED or is_credential(key, is_free=True)
    return within not in _SELECTING and key not in _NAMES and is_credential(key)


def _value(value: Any, within: str) -> Any:
    match value:
        case dict():
            return _mapping(value, within)
        case list():
            return _list(value, within)
        case str():
            return without_credentials(value)
    return value


def _list(entries: list[Any], within: str) -> list[Any]:
    """Of arguments, those after an option that takes a credential go."""
    found, is_awaited = [], False
    for entry in entries:
        is_text = isinstance(entry, str)
        is_removed = is_awaited and is_text and not entry.startswith("-")
        found.append(REMOVED if is_removed else _value(entry, within))
        is_awaited = is_text and not is_removed and takes_credential(entry)
    return found
