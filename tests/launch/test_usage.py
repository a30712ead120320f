"""Hours of pods and GPUs, and their price."""

from typing import Any

import pytest

from pricon.launch.usage import Price, Usage, is_counted, pool_facts, price_in
from tests.launch.kubernetes.clusters import make_profile

EUROS = Price(per_hour=1.5, currency="EUR")


def test_nodes_for_a_while() -> None:
    used = Usage.of(2, 8.0, 1800.0, EUROS)
    assert used == Usage(pod_hours=1.0, gpu_hours=4.0, cost=1.5, currency="EUR")
    assert Usage.of(2, 8.0, 1800.0, None) == Usage(pod_hours=1.0, gpu_hours=4.0, cost=None)


@pytest.mark.parametrize(
    ("one", "other", "cost", "currency"),
    [
        (Usage(), Usage(), 0.0, None),
        (Usage(), Usage(cost=2.0, currency="EUR"), 2.0, "EUR"),
        (Usage(cost=1.0, currency="EUR"), Usage(cost=2.0, currency="EUR"), 3.0, "EUR"),
        (Usage(cost=1.0, currency="EUR"), Usage(cost=2.0, currency="USD"), None, "EUR"),
        (Usage(cost=1.0, currency="EUR"), Usage(cost=None), None, "EUR"),
    ],
)
def test_a_sum_has_a_cost_where_all_of_it_has(
    one: Usage, other: Usage, cost: float | None, currency: str | None
) -> None:
    for both in (one.plus(other), other.plus(one)):
        assert (both.cost, both.currency) == (cost, currency)


def test_parts_are_equal() -> None:
    used = Usage(pod_hours=3.0, gpu_hours=6.0, cost=4.5, currency="EUR")
    assert used.part(3) == Usage(pod_hours=1.0, gpu_hours=2.0, cost=1.5, currency="EUR")
    assert Usage(pod_hours=3.0, cost=None).part(2) == Usage(pod_hours=1.5, cost=None)


def test_metrics_have_a_cost_where_it_is_known() -> None:
    used = Usage(pod_hours=1.23456, gpu_hours=0.0, cost=1.85184, currency="EUR")
    assert used.rounded(3).metrics == {"pod_hours": 1.235, "gpu_hours": 0.0, "cost.EUR": 1.852}
    hours = {"pod_hours": 1.0, "gpu_hours": 0.0}
    assert Usage(pod_hours=1.0, cost=None).rounded(3).metrics == hours
    mixed = Usage(pod_hours=1.0, cost=None, currency="EUR").rounded(3)
    assert (mixed.metrics, mixed.currency) == (hours, None)
    assert Usage(pod_hours=1.0, currency=None).rounded(3).cost is None
    assert Usage().metrics == {"pod_hours": 0.0, "gpu_hours": 0.0}


@pytest.mark.parametrize("price", [None, 0.0, 0.2])
def test_what_a_submission_notes_is_read_again(price: float | None) -> None:
    document = {"cpu": {"cpus": 4, "memory": "8Gi", "maxWorkers": 8, "pricePerHour": price}}
    profile = make_profile(pools=document, currency="EUR")
    facts = {"pool": pool_facts(profile.pools["cpu"], profile)}
    assert is_counted(facts)
    assert price_in(facts) == (None if price is None else Price(per_hour=price, currency="EUR"))


@pytest.mark.parametrize("facts", [{}, {"pool": "cpu"}, {"version": "0.1.0"}])
def test_nodes_of_others_are_not_counted(facts: dict[str, Any]) -> None:
    assert not is_counted(facts)
    assert price_in(facts) is None
