"""Hours of pods and GPUs, and what they cost."""

from typing import Any

import pytest

from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.launch.usage import Usage, pool_facts, usage_in
from tests.launch.kubernetes.clusters import make_profile


def test_hours_add_up() -> None:
    used = Usage(price_per_hour=1.5, currency="EUR")
    for held in (
        NodesHeld(nodes=0, gpus=0.0, seconds=900.0),
        NodesHeld(nodes=2, gpus=8.0, seconds=1800.0),
        NodesHeld(nodes=1, gpus=4.0, seconds=3600.0),
    ):
        used = used.plus(held)
    assert (used.pod_hours, used.gpu_hours, used.cost) == (2.0, 8.0, 3.0)
    assert used.metrics == {"pod_hours": 2.0, "gpu_hours": 8.0, "cost.EUR": 3.0}
    assert used.told(is_last=True).words == "2.00 pod-hours, 8.00 GPU-hours, 3.00 EUR"


def test_a_pool_without_gpus_and_price() -> None:
    used = Usage().plus(NodesHeld(nodes=3, gpus=0.0, seconds=36_000.0))
    assert used.cost is None
    assert used.metrics == {"pod_hours": 30.0, "gpu_hours": 0.0}
    told = used.told(is_last=False)
    assert told == UsageBulletin(pod_hours=30.0, gpu_hours=0.0)
    assert told.words == "30.0 pod-hours"


def test_attempts_before_this_one_count() -> None:
    before = UsageBulletin(pod_hours=2.0, gpu_hours=1.0, cost=9.0, currency="EUR", is_last=True)
    used = Usage(price_per_hour=0.5, currency="EUR").after(before)
    assert (used.pod_hours, used.gpu_hours, used.cost) == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("price", [None, 0.0, 0.2])
def test_what_a_submission_notes_is_read_again(price: float | None) -> None:
    document = {"cpu": {"cpus": 4, "memory": "8Gi", "maxWorkers": 8, "pricePerHour": price}}
    profile = make_profile(pools=document, currency="EUR")
    used = usage_in({"pool": pool_facts(profile.pools["cpu"], profile)})
    assert used is not None
    assert used.price_per_hour == price


@pytest.mark.parametrize("facts", [{}, {"pool": "cpu"}, {"version": "0.1.0"}])
def test_nodes_of_others_are_not_counted(facts: dict[str, Any]) -> None:
    assert usage_in(facts) is None
