"""How many lanes run at once, and what each of their workers gets."""

import os

import pytest

from pricon.errors import LaunchError, SpecError
from pricon.launch.sizing import Share, check_fits, gpus_of_worker, lanes_that_fit
from pricon.spec.resources import ResourcesSpec


def test_lanes_are_limited_to_what_the_machine_has() -> None:
    machine = {"CPU": 4.0, "GPU": 1.0}
    assert lanes_that_fit(ResourcesSpec(), 1000, machine) == 4
    assert lanes_that_fit(ResourcesSpec(lanes_at_once=1), 1000, machine) == 1
    assert lanes_that_fit(ResourcesSpec(cpus_per_worker=0.25), 3, machine) == 3
    assert lanes_that_fit(ResourcesSpec(gpus_per_worker=0.5), 1000, machine) == 2


@pytest.mark.parametrize(
    ("gpus", "expected"), [(0.0, {"CPU": 2.0}), (0.25, {"CPU": 2.0, "GPU": 0.25})]
)
def test_what_a_worker_gets(gpus: float, expected: dict[str, float]) -> None:
    resources = ResourcesSpec(cpus_per_worker=2)
    assert Share(at_once=1, gpus=gpus).of_worker(resources) == expected


def test_a_lane_larger_than_the_machine_is_refused() -> None:
    machine = {"CPU": 4.0}
    with pytest.raises(LaunchError, match=r"one lane needs 8 CPUs \(8 workers of 1\)") as caught:
        lanes_that_fit(ResourcesSpec(workers_per_lane=8), 1, machine)
    assert caught.value.exit_code == 3
    assert caught.value.hint == "lower `resources.workers_per_lane` or `resources.cpus_per_worker`"
    with pytest.raises(LaunchError, match=r"one lane needs 1 GPUs .* there are 0") as caught:
        lanes_that_fit(ResourcesSpec(gpus_per_worker=1), 1, machine)
    assert caught.value.hint == (
        "a Ray cluster that gets nodes with GPUs when lanes ask for them needs the name of its "
        "worker group: `resources.pool`, or `--profile`; elsewhere lower "
        "`resources.gpus_per_worker` (0 trains on CPUs)"
    )


@pytest.mark.parametrize(
    ("asked", "lanes", "gpus", "share"),
    [
        ({}, 4, 0, 0.0),
        ({}, 1, 1, 1.0),
        ({}, 4, 8, 1.0),
        ({}, 4, 1, 0.25),
        ({}, 3, 2, 0.5),
        ({"lanes_at_once": 1}, 4, 1, 1.0),
        ({"workers_per_lane": 2}, 2, 4, 1.0),
        ({"workers_per_lane": 2}, 4, 4, 1.0),
        ({"workers_per_lane": 2}, 4, 1, 1.0),
        ({"workers_per_lane": 2}, 4, 0, 0.0),
        ({"gpus_per_worker": 0}, 4, 8, 0.0),
        ({"gpus_per_worker": 2}, 1, 8, 2.0),
    ],
)
def test_workers_share_the_gpus_that_there_are(
    asked: dict[str, float], lanes: int, gpus: int, share: float
) -> None:
    resources = ResourcesSpec.model_validate(asked)
    assert gpus_of_worker(resources, lanes, {"CPU": 8.0, "GPU": float(gpus)}) == share


def test_ranks_of_a_lane_do_not_share_a_gpu() -> None:
    """NCCL refuses that; fewer lanes at once, or none."""
    pairs = ResourcesSpec(workers_per_lane=2)
    assert Share.of(pairs, 4, {"CPU": 16.0, "GPU": 4.0}) == Share(at_once=2, gpus=1.0)
    assert Share.of(pairs, 4, {"CPU": 16.0}) == Share(at_once=4, gpus=0.0)
    with pytest.raises(LaunchError, match=r"one lane needs 2 GPUs \(2 workers of 1\)") as caught:
        Share.of(pairs, 4, {"CPU": 16.0, "GPU": 1.0})
    assert caught.value.hint == (
        "lower `resources.workers_per_lane` or `resources.gpus_per_worker` (0 trains on CPUs)"
    )


def test_a_lane_larger_than_this_machine_is_refused_before_anything_starts() -> None:
    cpus = os.cpu_count() or 1
    wide = ResourcesSpec(workers_per_lane=cpus + 1)
    with pytest.raises(SpecError, match=rf"one lane needs {cpus + 1} CPUs .* there are {cpus}"):
        check_fits("local", wide)
    check_fits("inprocess", wide)
    check_fits("local", ResourcesSpec(lanes=1000, gpus_per_worker=8))
