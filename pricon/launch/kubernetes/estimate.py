"""What a run on a cluster will take, before it is sent: pods, hours, money."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pricon.launch.kubernetes.rayjob import pods_at_once
from pricon.launch.kubernetes.resolve import pool_of, workers_of_pod
from pricon.launch.preflight import Prepared
from pricon.plan.plan import Stage
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile

SECONDS_A_STEP = 0.3e-3
"""Of one member of a pack, on one CPU core. `jobs/LOG.md`: 0.46 ms where sessions are few, 0.17 ms
where they are many, both counted over the epochs that stages may take at most. GPUs were not
measured; a worker with one is taken to be no faster."""

SECONDS_A_LANE = 30.0
"""Start of a lane's workers, images already pulled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Hours and money, to within a factor of two or three.

    Args:
        trials: of the plan.
        pods: worker pods at once.
        is_spot: whether their nodes may be taken away, which makes it longer.
        hours: from the first worker to the last.
        pod_hours: of worker pods.
        gpu_hours: of their GPUs.
        cost: of worker pods, in the profile's currency; None where the pool has no price.
        by_arm: share of each arm that is trained; lanes that start have the rest.
    """

    trials: int
    pods: int
    is_spot: bool
    hours: float
    pod_hours: float
    gpu_hours: float
    cost: float | None
    by_arm: Mapping[str, float]


def estimate(prepared: Prepared, job: JobSpec, profile: ClusterProfile) -> Estimate:
    """What `job`, resolved for the cluster, will take there."""
    _, pool = pool_of(job.resources, profile)
    pods = pods_at_once(job.resources, pool)
    workers = pods * workers_of_pod(job.resources, pool)
    lanes = len(prepared.plan.lanes)
    wanted = min(lanes, job.resources.lanes_at_once or lanes)
    at_once = max(1, min(wanted, workers // job.resources.workers_per_lane))
    by_arm = _steps_by_arm(prepared)
    training_s = sum(by_arm.values()) * SECONDS_A_STEP / at_once
    seconds = training_s + SECONDS_A_LANE * math.ceil(lanes / at_once)
    hours = seconds / 3600
    pod_hours = pods * hours
    price = pool.price_per_hour
    return Estimate(
        trials=len(prepared.plan.trials),
        pods=pods,
        is_spot=pool.spot,
        hours=hours,
        pod_hours=pod_hours,
        gpu_hours=pod_hours * pool.gpus,
        cost=None if price is None else pod_hours * price,
        by_arm={arm: steps / at_once * SECONDS_A_STEP / seconds for arm, steps in by_arm.items()},
    )


def _steps_by_arm(prepared: Prepared) -> dict[str, float]:
    """Most steps of each arm; of a stage that several trials need, each has an equal part."""
    plan, steps = prepared.plan, defaultdict[str, float](float)
    needed_by = Counter(stage for trial in plan.trials for stage in trial.stages)
    for trial in plan.trials:
        for stage in trial.stages:
            part = _steps(prepared, plan.stage_by_id[stage]) / needed_by[stage]
            if part:
                steps[trial.arm] += part
    return dict(steps)


def _steps(prepared: Prepared, stage: Stage) -> int:
    """Most optimisation steps of a stage."""
    optimisation = prepared.job.optimisation
    match stage.role, stage.objective:
        case ("majority", _) | (_, "random"):
            return 0
        case _, "contrastive":
            epochs = optimisation.contrastive.epochs
        case "probe", _:
            epochs = optimisation.probe.epochs
        case _:
            epochs = optimisation.supervised.epochs
    windows = prepared.balances[stage.cell].num_windows["train"]
    return epochs * math.ceil(windows / optimisation.batch_size)
