"""How many lanes run at once, and what each of their workers gets."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from pricon.errors import LaunchError, SpecError
from pricon.spec.resources import ResourcesSpec, Target

Machine = Mapping[str, float]
"""Ray's name of a resource -> how much of it there is."""


def check_fits(target: Target, resources: ResourcesSpec) -> None:
    """Refuse lanes for which this machine has too few CPUs, before anything starts.

    Raises:
        SpecError: not even one lane fits.
    """
    if target != "local":
        return
    try:
        lanes_that_fit(
            resources.model_copy(update={"gpus_per_worker": None}),
            resources.lanes,
            {"CPU": os.cpu_count() or math.inf},
        )
    except LaunchError as err:
        raise SpecError(err.message, err.hint) from err


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What lanes get.

    Args:
        at_once: how many of them run at the same time.
        gpus: of a worker.
    """

    at_once: int
    gpus: float

    @staticmethod
    def of(resources: ResourcesSpec, num_lanes: int, machine: Machine | None) -> "Share":
        """Of a machine, or of a cluster that grows (None).

        Raises:
            LaunchError: not even one lane fits.
        """
        if machine is None:
            at_once = min(resources.lanes_at_once or num_lanes, num_lanes)
            return Share(at_once=max(1, at_once), gpus=resources.gpus_per_worker or 0.0)
        gpus = gpus_of_worker(resources, num_lanes, machine)
        fixed = resources.model_copy(update={"gpus_per_worker": gpus})
        return Share(at_once=lanes_that_fit(fixed, num_lanes, machine), gpus=gpus)

    def of_worker(self, resources: ResourcesSpec) -> dict[str, float]:
        """What Ray reserves for one worker; no GPU is none, not 0 of them."""
        gpus = {"GPU": self.gpus} if self.gpus else {}
        return {"CPU": resources.cpus_per_worker, **gpus}


def gpus_of_worker(resources: ResourcesSpec, num_lanes: int, machine: Machine) -> float:
    """GPUs of a worker: as asked, else one where there are enough for all lanes, else a share.

    Lanes beside each other may share a GPU; the ranks of one lane may not, because NCCL refuses two
    of a group on one GPU. Those get one each, and fewer lanes run at once.
    """
    if resources.gpus_per_worker is not None:
        return resources.gpus_per_worker
    has = math.floor(machine.get("GPU", 0.0))
    if has == 0:
        return 0.0
    if resources.workers_per_lane > 1:
        return 1.0
    lanes = max(1, min(resources.lanes_at_once or num_lanes, num_lanes))
    return 1.0 / math.ceil(lanes / has)


def _none_of(noun: str, key: str) -> str:
    """A hint: a cluster that grows has nothing while nobody works on it."""
    return (
        f"a Ray cluster that gets nodes with {noun}s when lanes ask for them needs the name of its "
        f"worker group: `resources.pool`, or `--profile`; elsewhere lower {key}"
    )


def lanes_that_fit(resources: ResourcesSpec, num_lanes: int, machine: Machine) -> int:
    """How many lanes may run at once: as asked, but no more than `machine` has CPUs and GPUs for.

    Raises:
        LaunchError: not even one lane fits.
    """
    limit = resources.lanes_at_once or num_lanes
    for noun, key, wants in (
        ("CPU", "`resources.cpus_per_worker`", resources.cpus_per_worker),
        (
            "GPU",
            "`resources.gpus_per_worker` (0 trains on CPUs)",
            resources.gpus_per_worker or 0.0,
        ),
    ):
        has = machine.get(noun, 0.0)
        lane = wants * resources.workers_per_lane
        if lane > has:
            raise LaunchError(
                f"one lane needs {lane:g} {noun}s ({resources.workers_per_lane} workers of "
                f"{wants:g}), but there are {has:g}",
                f"lower `resources.workers_per_lane` or {key}" if has else _none_of(noun, key),
            )
        if lane > 0:
            limit = min(limit, math.floor(has / lane))
    return max(1, min(limit, num_lanes))
