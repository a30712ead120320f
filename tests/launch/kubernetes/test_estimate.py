"""Hours and money of a run, before it is sent."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from pricon.corpus.reader import open_corpus
from pricon.launch.kubernetes.estimate import SECONDS_A_LANE, SECONDS_A_STEP, estimate
from pricon.launch.kubernetes.resolve import resolve
from pricon.launch.preflight import Prepared, prepare
from pricon.plan.plan import Plan
from pricon.spec.job import JobSpec
from pricon.spec.resources import ResourcesSpec
from pricon.storage import open_storage
from tests.launch.kubernetes.clusters import make_profile


@pytest.fixture
def prepared(built: JobSpec) -> Prepared:
    return prepare(built, open_corpus(open_storage(built.corpus.uri)), None)


def on_cluster(prepared: Prepared, **resources: object) -> JobSpec:
    corpus = prepared.job.corpus.model_copy(update={"uri": "s3://affect/corpora/tiny"})
    changes = {
        "corpus": corpus,
        "output": "s3://affect/runs",
        "resources": ResourcesSpec.model_validate(resources),
    }
    return resolve(prepared.job.model_copy(update=changes), make_profile())


def test_hours_follow_from_steps_lanes_and_pods(prepared: Prepared) -> None:
    found = estimate(prepared, on_cluster(prepared), make_profile())
    windows = [balance.num_windows["train"] for balance in prepared.balances]
    assert max(windows) <= 256, "one step an epoch"
    trained = [s for s in prepared.plan.stages if s.role != "majority"]
    seconds = 3 * len(trained) * SECONDS_A_STEP + SECONDS_A_LANE
    assert math.isclose(found.hours, seconds / 3600)
    assert found.trials == len(prepared.plan.trials)
    assert (found.pods, found.gpu_hours, found.is_spot) == (1, 0, False)
    assert found.cost == pytest.approx(found.pod_hours * 0.2)


def test_arms_share_what_they_need_together(prepared: Prepared) -> None:
    """A teacher's steps are those of all its students, in equal parts."""
    found = estimate(prepared, on_cluster(prepared), make_profile())
    trials = prepared.plan.trials
    assert found.by_arm.keys() == {trial.arm for trial in trials} - {"majority"}
    seconds = found.hours * 3600
    assert sum(found.by_arm.values()) == pytest.approx(1 - SECONDS_A_LANE / seconds)
    roles = {stage.id: stage.role for stage in prepared.plan.stages}
    taught = [trial for trial in trials if trial.arm == "lupi"]
    teachers = [stage for t in taught for stage in t.stages if roles[stage] == "teacher"]
    num_users = Counter(stage for trial in trials for stage in trial.stages)
    assert max(num_users[teacher] for teacher in teachers) > 1
    steps = 3 * (len(taught) + sum(1 / num_users[teacher] for teacher in teachers))
    assert found.by_arm["lupi"] * seconds == pytest.approx(steps * SECONDS_A_STEP)


def test_lanes_at_once_take_less_time_and_the_same_work(prepared: Prepared) -> None:
    lane = prepared.plan.lanes[0]
    lanes = tuple(replace(lane, index=index) for index in range(8))
    plan: Plan = replace(prepared.plan, lanes=lanes)
    eight = replace(prepared, plan=plan)
    profile = make_profile()
    serial = estimate(eight, on_cluster(prepared, lanes=8, lanes_at_once=1), profile)
    parallel = estimate(eight, on_cluster(prepared, lanes=8), profile)
    assert (serial.pods, parallel.pods) == (1, 2)
    assert serial.hours > 3 * parallel.hours


def test_gpus_are_counted_and_a_pool_without_price_costs_nothing_known(prepared: Prepared) -> None:
    profile = make_profile()
    found = estimate(prepared, on_cluster(prepared, pool="gpu-a100"), profile)
    assert found.gpu_hours == found.pod_hours > 0
    assert found.is_spot, "as the pool is"
    free = {"cpu": {"cpus": 1, "memory": "1Gi", "maxWorkers": 1}}
    assert estimate(prepared, on_cluster(prepared), make_profile(pools=free)).cost is None
