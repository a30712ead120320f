"""Objects of a cluster as they may be shown to others: without credentials and bookkeeping. Pure.

Pods of pricon name secrets and hold none. Somebody's webhook, or a RayJob that was changed by hand,
may put one into an environment all the same.
"""

import re
from typing import Any

from pricon.launch.kubernetes.client import Object

REMOVED = "(removed)"
_CREDENTIAL = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
"""In names of environment variables; those that only sound so are removed too."""
_USER = re.compile(r"//[^/@\s\"']*@")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation: an object as text, in which nothing could be told apart."""


def redacted(body: Object) -> Object:
    """A copy without values of variables that may be credentials, and without `managedFields`.

    User names and passwords go from addresses, in whatever text these are.

    >>> redacted({"env": [{"name": "API_TOKEN", "value": "abc"}]})
    {'env': [{'name': 'API_TOKEN', 'value': '(removed)'}]}
    """
    copy: Object = {}
    for key, value in body.items():
        if key == "managedFields":
            continue
        copy[key] = REMOVED if key == _APPLIED else _value(value)
    value = copy.get("value")
    if isinstance(value, str) and value and _CREDENTIAL.search(str(copy.get("name"))):
        copy["value"] = REMOVED
    return copy


def _value(value: Any) -> Any:
    match value:
        case dict():
            return redacted(value)
        case list():
            return [_value(entry) for entry in value]
        case str():
            return _USER.sub(f"//{REMOVED}@", value)
    return value
