"""The dashboard asks for metrics that Ray or pricon exports, by labels of the chart."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

from pricon.launch.gauges import METRICS
from tests.helm.dashboard import DASHBOARD, asked
from tests.helm.render import KubernetesObject, named


def exported_by_ray() -> str:
    """The sources of Ray that name its metrics, and of Ray Train's."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    sources = [
        package / "dashboard" / "modules" / "reporter" / "reporter_agent.py",
        *(package / "train" / "v2" / "_internal" / "metrics").glob("*.py"),
    ]
    return "\n".join(source.read_text(encoding="utf-8") for source in sources)


def test_ray_exports_every_metric() -> None:
    text = exported_by_ray()
    metrics = {name for name in asked() if not name.startswith("pricon_")}
    assert len(metrics) >= 10
    assert {name for name in metrics if f'"{name}"' not in text} == set()


def test_pricon_exports_the_others_and_each_is_shown() -> None:
    exported = {name + "_total" * metric.is_counter for name, metric in METRICS.items()}
    assert {name for name in asked() if name.startswith("pricon_")} == exported


def test_every_query_is_of_chosen_runs() -> None:
    for panel in DASHBOARD["panels"]:
        assert panel["description"]
        for target in panel["targets"]:
            assert re.findall(r"\{(.*?)\}", target["expr"]) == ['run=~"$run"']


def test_metrics_carry_the_labels_of_runs(charts: dict[str, list[KubernetesObject]]) -> None:
    monitor = named(charts["monitoring"], "PodMonitor", "pricon")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"
    labels = {rule["targetLabel"]: rule["sourceLabels"] for rule in endpoint["relabelings"]}
    assert labels["run"] == ["__meta_kubernetes_pod_label_pricon_dev_run"]
    of_training = {label for metric in METRICS.values() for label in metric.labels}
    assert not labels.keys() & of_training, "Prometheus would rename ours"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    dashboard = named(charts["monitoring"], "ConfigMap", "pricon-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["pricon.json"]) == DASHBOARD


def test_panels_do_not_overlap() -> None:
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len({*taken})
