"""The dashboard of the chart, and what it asks Prometheus for."""

import json
import re

from tests.helm.render import CHART

DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))


def asked() -> set[str]:
    """Metrics of all panels, without `ray_` before them."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return {name for query in queries for name in re.findall(r"\bray_(\w+)\{", query)}
