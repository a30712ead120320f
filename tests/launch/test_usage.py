"""Hours of pods and GPUs, and what they cost."""

from pathlib import Path
from typing import Any

import pytest

from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.launch.usage import Meter, Price, is_counted, pool_facts, price_in
from pricon.storage import open_storage
from tests.launch.kubernetes.clusters import make_profile

EUROS = Price(per_hour=1.5, currency="EUR")


def meter(folder: Path, name: str, price: Price | None = EUROS) -> Meter:
    return Meter(open_storage(str(folder)), name, price)


def test_hours_add_up(tmp_path: Path) -> None:
    counted = meter(tmp_path, "s1.0")
    assert counted.told() == UsageBulletin(pod_hours=0.0, gpu_hours=0.0)
    assert not [*tmp_path.iterdir()], "nothing is kept of nothing"
    for held in (
        NodesHeld(nodes=0, gpus=0.0, seconds=900.0),
        NodesHeld(nodes=2, gpus=8.0, seconds=1800.0),
        NodesHeld(nodes=1, gpus=4.0, seconds=3600.0),
    ):
        counted.add(held)
    assert counted.metrics == {"pod_hours": 2.0, "gpu_hours": 8.0, "cost.EUR": 3.0}
    assert counted.told(is_last=True).words == (
        "2.00 pod-hours, 8.00 GPU-hours, about 3.00 EUR (the profile's price, no head)"
    )


def test_a_pool_without_gpus_and_price(tmp_path: Path) -> None:
    counted = meter(tmp_path, "s1.0", None)
    counted.add(NodesHeld(nodes=3, gpus=0.0, seconds=36_000.0))
    assert counted.metrics == {"pod_hours": 30.0, "gpu_hours": 0.0}
    told = counted.told()
    assert told.cost is None
    assert told.words == "30.0 pod-hours"


def test_seconds_are_not_nothing(tmp_path: Path) -> None:
    counted = meter(tmp_path, "s1.0", None)
    counted.add(NodesHeld(nodes=1, gpus=0.0, seconds=7.0))
    assert counted.told().words == "0.002 pod-hours"


def test_every_attempt_has_its_own_price(tmp_path: Path) -> None:
    """Submitted again to another pool, or at another price, a run costs what each part did."""
    dear, cheap = Price(per_hour=4.0, currency="EUR"), Price(per_hour=0.2, currency="EUR")
    for name, price, hours in (("s1.0", dear, 10), ("s2.0", cheap, 1)):
        counted = meter(tmp_path, name, price)
        counted.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0 * hours))
        told = counted.told()
    assert (told.cost, told.currency) == (40.2, "EUR")
    other = meter(tmp_path, "s3.0", Price(per_hour=1.0, currency="USD"))
    assert other.told().cost == 40.2, "nothing was taken yet"
    other.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0))
    assert (other.told().pod_hours, other.told().cost) == (12.0, None)
    free = meter(tmp_path / "free", "s1.0", Price(per_hour=0.0, currency="EUR"))
    free.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0))
    assert free.told().cost == 0.0


def test_all_attempts_of_all_submissions_count_once(tmp_path: Path) -> None:
    hour = NodesHeld(nodes=1, gpus=2.0, seconds=3600.0)
    for name in ("s1.0", "s1.1", "s2.0"):
        counted = meter(tmp_path, name)
        counted.add(hour)
        counted.told()
        counted.told()
    assert (counted.told().pod_hours, counted.told().gpu_hours) == (3.0, 6.0)
    again = meter(tmp_path, "s2.0")  # its log was not kept, so that its number is taken again
    assert again.told().pod_hours == 2.0
    assert meter(tmp_path, "s3.0").metrics["pod_hours"] == 3.0, "a submission that takes nothing"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pod_hours": "many", "gpu_hours": 1}'])
def test_a_torn_file_counts_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "s1.0.json").write_text(text, encoding="utf-8")
    assert meter(tmp_path, "s1.1").told().pod_hours == 0.0


def test_a_store_that_takes_nothing_keeps_nobody_from_counting(tmp_path: Path) -> None:
    counted = meter(tmp_path / "used", "s1.0")
    (tmp_path / "used").write_text("a file in the way", encoding="utf-8")
    counted.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0))
    assert counted.told().pod_hours == 1.0


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
