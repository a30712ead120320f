"""Whole objects against golden files, KubeRay's schema, and what a cluster does with them."""

import json
import os
from typing import Any

import pytest
from ruamel.yaml import YAML

from pricon.launch.kubernetes.rayjob import pods_at_once, render
from pricon.launch.submission import Submission
from pricon.spec.dump import dump
from pricon.spec.job import JobSpec
from pricon.spec.load import load_job, parse_job
from pricon.spec.resources import ResourcesSpec
from tests.kuberay import check_strictly
from tests.launch.kubernetes.clusters import make_profile
from tests.safeguards.sources import ROOT

GOLDEN = ROOT / "tests" / "golden" / "rayjob"
SUBMISSION = Submission(id="5f1e", version="0.1.0")
CORPUS = {"adapter": "again", "generate": {}}


def again(**resources: Any) -> JobSpec:
    spec = load_job(ROOT / "jobs" / "again_cv.yaml")
    return spec.model_copy(update={"resources": ResourcesSpec.model_validate(resources)})


CASES: dict[str, tuple[JobSpec, dict[str, Any]]] = {
    "cpu": (again(lanes=15), {}),
    "gpu-spot": (again(lanes=15, pool="gpu-a100", priority_class="low"), {}),
    "queue": (again(lanes=3, queue="team", workers_per_lane=2), {"isolateRuns": True}),
    "bare": (again(), {"storage": {"corpora": "s3://a/c", "output": "s3://a/r"}, "tracking": None}),
}


@pytest.mark.parametrize("name", CASES)
def test_whole_objects(name: str) -> None:
    spec, profile = CASES[name]
    rendered = render(spec, make_profile(**profile), SUBMISSION)
    found = [rendered.config_map, rendered.ray_job]
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("PRICON_GOLDEN") == "update":
        file.parent.mkdir(exist_ok=True)
        file.write_text(dump(*found), encoding="utf-8")
    assert found == list(YAML(typ="safe", pure=True).load_all(file))
    check_strictly(rendered.ray_job)


def test_the_driver_reads_the_job_that_was_resolved() -> None:
    rendered = render(again(lanes=2), make_profile(), SUBMISSION)
    text = rendered.config_map["data"]["job.yaml"]
    assert parse_job(text, "job.yaml") == rendered.job
    entrypoint = rendered.ray_job["spec"]["entrypoint"]
    assert entrypoint.endswith(f"--submission {SUBMISSION.id} --give-up"), "KubeRay tries again"
    once = render(again(), make_profile(retries={"clusterFailures": 0}), SUBMISSION).ray_job["spec"]
    assert once["backoffLimit"] == 0
    assert once["entrypoint"].endswith(f"--submission {SUBMISSION.id}"), "it may call it FAILED"
    assert rendered.config_map["metadata"]["name"] == rendered.handle


def test_a_key_that_kuberay_does_not_know_would_be_seen() -> None:
    rendered = render(again(), make_profile(), SUBMISSION)
    rendered.ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["tolerate"] = []
    with pytest.raises(
        AssertionError, match=r"headGroupSpec.template.spec: .*'tolerate' was unexp"
    ):
        check_strictly(rendered.ray_job)


@pytest.mark.parametrize(
    ("resources", "pods"),
    [
        ({"lanes": 1}, 1),
        ({"lanes": 9}, 3),
        ({"lanes": 9, "lanes_at_once": 4}, 1),
        ({"lanes": 4, "workers_per_lane": 2}, 2),
        ({"lanes": 1000}, 8),
        ({"lanes": 3, "cpus_per_worker": 3}, 3),
    ],
)
def test_a_run_has_no_more_pods_than_it_has_use_for(resources: dict[str, Any], pods: int) -> None:
    pool = make_profile().pools["cpu"]
    assert pods_at_once(ResourcesSpec.model_validate(resources), pool) == pods


def test_nothing_secret_is_sent() -> None:
    for spec, profile in CASES.values():
        text = json.dumps(render(spec, make_profile(**profile), SUBMISSION).config_map)
        assert "secret" not in text.lower()
