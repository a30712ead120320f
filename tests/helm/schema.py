"""The part of values.schema.json that is generated: `profile` follows pricon.spec.profile."""

import json
from typing import Any

from pricon.spec.profile import ClusterProfile
from tests.helm.render import CHART

SCHEMA = CHART / "values.schema.json"
FROM_THE_CHART = {
    "ClusterProfile": {"version", "image", "serviceAccount"},
    "TrackingServerSpec": {"uri"},
}
"""Keys that a profile must have, and that the chart fills in where its owner does not."""


def profile_definitions() -> dict[str, Any]:
    """Definitions of the profile, as values of the chart give it."""
    schema = ClusterProfile.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["ClusterProfile"] = schema
    for definition in definitions.values():
        for member in definition["properties"].values():
            if "patternProperties" in member:  # a key that does not match would pass unread
                member["additionalProperties"] = False
    for name, known in FROM_THE_CHART.items():
        required = definitions[name].pop("required")
        if left := [key for key in required if key not in known]:
            definitions[name]["required"] = left
    return definitions


def read_schema() -> dict[str, Any]:
    """values.schema.json as it is."""
    document: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return document


def updated(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with the generated definitions of today."""
    written_by_hand = {key: value for key, value in schema["$defs"].items() if not key[0].isupper()}
    return schema | {"$defs": written_by_hand | profile_definitions()}
