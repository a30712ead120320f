"""What a job becomes on a cluster, and what does not fit there."""

from typing import Any

import pytest

from pricon.errors import SpecError
from pricon.launch.kubernetes.resolve import resolve, resolve_for_ray, workers_of_pod
from pricon.spec.job import JobSpec
from tests.launch.kubernetes.clusters import make_profile
from tests.plan.problem import job

GENERATED = {"adapter": "again", "generate": {"into": "runs/recordings/nine", "seed": 3}}


def resolved(**changes: Any) -> JobSpec:
    return resolve(job(**{"corpus": GENERATED, **changes}), make_profile())


def test_places_are_the_clusters() -> None:
    found = resolved()
    assert found.corpus.uri == "s3://affect/corpora/nine"
    assert found.output == "s3://affect/runs"
    assert found.storage.endpoint_url == "http://objects.example.org:8333"
    assert found.tracking.uri == "http://pricon-tracking:5000"
    assert found.target == "ray"
    assert found.corpus.generate is not None
    assert found.corpus.generate.into == "/tmp/pricon/recordings/nine"
    assert found.corpus.generate.seed == 3


def test_a_cluster_that_stays_has_its_own_pool_and_recordings_of_each_run() -> None:
    asked = job(corpus=GENERATED, target="http://127.0.0.1:8265")
    found = resolve_for_ray(asked, make_profile(sharedPool="gpu-a100"), "nine-cv-1")
    assert found.target == "http://127.0.0.1:8265"
    assert (found.resources.pool, found.resources.gpus_per_worker) == ("gpu-a100", 1)
    assert found.output == "s3://affect/runs"
    assert found.corpus.generate is not None
    assert found.corpus.generate.into == "/tmp/pricon/recordings/nine-cv-1/nine"
    assert resolve_for_ray(asked, make_profile(), "nine-cv-1").resources.pool == "cpu"
    own = job(corpus={**GENERATED, "source": "/data/AGAIN"}, resources={"pool": "cpu"})
    found = resolve_for_ray(own, make_profile(sharedPool="gpu-a100"), "nine-cv-1")
    assert (found.resources.pool, found.corpus.generate) == ("cpu", None)


def test_what_the_job_says_stays() -> None:
    found = resolved(
        corpus={**GENERATED, "uri": "s3://own/corpus"},
        output="s3://own/runs/",
        storage={"region": "eu-1", "endpoint_url": "https://s3.example.org"},
        tracking={"uri": "https://mlflow.example.org"},
        resources={
            "max_failures": 7,
            "gpus_per_worker": 0,
            "priority_class": "low",
            "workers_within_s": 60,
        },
    )
    assert (found.corpus.uri, found.output) == ("s3://own/corpus", "s3://own/runs")
    assert (found.storage.region, found.storage.endpoint_url) == ("eu-1", "https://s3.example.org")
    assert found.tracking.uri == "https://mlflow.example.org"
    assert (found.resources.max_failures, found.resources.gpus_per_worker) == (7, 0)
    assert (found.resources.priority_class, found.resources.workers_within_s) == ("low", 60)


def test_real_recordings_stay_here_and_are_never_replaced_by_generated_ones() -> None:
    found = resolved(corpus={**GENERATED, "source": "/data/AGAIN"})
    assert found.corpus.uri == "s3://affect/corpora/AGAIN"
    assert (found.corpus.source, found.corpus.generate) == (None, None)


def test_workers_get_a_gpu_where_their_pool_has_one() -> None:
    assert resolved().resources.gpus_per_worker == 0
    assert resolved(resources={"pool": "gpu-a100"}).resources.gpus_per_worker == 1


def test_the_clusters_customs_stand_where_the_job_says_nothing() -> None:
    profile = make_profile(queue="team", priorityClass="low", retries={"lostWorkers": 5})
    found = resolve(job(corpus=GENERATED), profile).resources
    assert found.workers_within_s == profile.pending_limit_s
    assert (found.queue, found.priority_class, found.max_failures) == ("team", "low", 5)
    assert found.pool == "cpu"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resources": {"pool": "gpu-h100"}}, "expected one of: `cpu`, `gpu-a100`"),
        ({"resources": {"cpus_per_worker": 5}}, "is 5, and a pod of pool `cpu` has 4 CPUs"),
        ({"resources": {"gpus_per_worker": 1}}, "is 1, and a pod of pool `cpu` has 0 GPUs"),
        ({"resources": {"workers_per_lane": 33}}, "pool `cpu` has room for 32 workers of a run"),
        (
            {"resources": {"lanes": 50, "lanes_at_once": 25}},
            "is 25, and the head of this cluster, of 8Gi, has room for 21 lanes at once",
        ),
        ({"corpus": {**GENERATED, "uri": "corpora/x"}}, "is corpora/x, which a cluster cannot"),
        ({"corpus": {**GENERATED, "uri": "file:///x"}}, "is file:///x, which a cluster cannot"),
        ({"output": "/data/runs"}, "`output` is /data/runs, which a cluster cannot write to"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError, match=r"^") as caught:
        resolved(**changes)
    assert expected in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("lanes", "asked", "memory", "expected"),
    [
        (21, None, "8Gi", None),
        (22, None, "8Gi", 21),
        (100, None, "32Gi", None),
        (1000, None, "32Gi", 106),
        (100, 21, "8Gi", 21),
        (3, 100, "8Gi", 100),
        (2, None, "2336Mi", 1),
    ],
)
def test_lanes_at_once_are_as_many_as_the_head_has_room_for(
    lanes: int, asked: int | None, memory: str, expected: int | None
) -> None:
    """Each has a controller there."""
    profile = make_profile(head={"cpus": 2, "memory": memory})
    spec = job(corpus=GENERATED, resources={"lanes": lanes, "lanes_at_once": asked})
    assert resolve(spec, profile).resources.lanes_at_once == expected


def test_a_head_without_room_for_a_lane_is_refused() -> None:
    profile = make_profile(head={"cpus": 2, "memory": "2Gi"})
    with pytest.raises(SpecError, match="head of this cluster has 2Gi of memory") as caught:
        resolve(job(corpus=GENERATED), profile)
    assert "expected 2336Mi or more" in caught.value.message
    assert "`head.memory`" in str(caught.value.hint)


def test_a_pod_holds_as_many_workers_as_it_has_room_for() -> None:
    pools = make_profile().pools
    resources = resolved(resources={"cpus_per_worker": 1.5}).resources
    assert workers_of_pod(resources, pools["cpu"]) == 2
    shared = resolved(resources={"pool": "gpu-a100", "gpus_per_worker": 0.25}).resources
    assert workers_of_pod(shared, pools["gpu-a100"]) == 4
