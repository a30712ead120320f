"""What a run takes is counted, and shared out."""

from pathlib import Path

import pytest

from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.launch.meter import Meter, Sharer
from pricon.launch.usage import Price
from pricon.storage import open_storage

EUROS = Price(per_hour=1.5, currency="EUR")
HOUR = NodesHeld(nodes=1, gpus=2.0, seconds=3600.0)
E2E, PRICON = Sharer(trial="a1", arm="e2e", fold=0), Sharer(trial="b2", arm="pricon", fold=0)
OTHER_FOLD = Sharer(trial="c3", arm="pricon", fold=1)


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
    assert counted.told(is_last=True) == UsageBulletin(
        pod_hours=2.0, gpu_hours=8.0, cost=3.0, currency="EUR", is_last=True
    )


def test_a_pool_without_gpus_and_price(tmp_path: Path) -> None:
    counted = meter(tmp_path, "s1.0", None)
    counted.add(NodesHeld(nodes=3, gpus=0.0, seconds=36_000.0))
    assert counted.metrics == {"pod_hours": 30.0, "gpu_hours": 0.0}
    assert counted.told().cost is None


def test_every_attempt_has_its_own_price(tmp_path: Path) -> None:
    """Submitted again to another pool, or at another price, a run costs what each part did."""
    dear, cheap = Price(per_hour=4.0, currency="EUR"), Price(per_hour=0.2, currency="EUR")
    for name, price, hours in (("s1.0", dear, 10), ("s2.0", cheap, 1)):
        counted = meter(tmp_path, name, price)
        counted.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0 * hours), [[PRICON]])
        told = counted.told()
    assert (told.cost, told.currency) == (40.2, "EUR")
    assert counted.metrics_of(PRICON) == {"pod_hours": 11.0, "gpu_hours": 0.0, "cost.EUR": 40.2}
    other = meter(tmp_path, "s3.0", Price(per_hour=1.0, currency="USD"))
    assert other.told().cost == 40.2, "nothing was taken yet"
    other.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0))
    assert (other.told().pod_hours, other.told().cost) == (12.0, None)
    free = meter(tmp_path / "free", "s1.0", Price(per_hour=0.0, currency="EUR"))
    free.add(NodesHeld(nodes=1, gpus=0.0, seconds=3600.0))
    assert free.told().cost == 0.0


def test_all_attempts_of_all_submissions_count_once(tmp_path: Path) -> None:
    for name in ("s1.0", "s1.1", "s2.0"):
        counted = meter(tmp_path, name)
        counted.add(HOUR, [[E2E, PRICON]])
        counted.told()
        counted.told()
    assert (counted.told().pod_hours, counted.told().gpu_hours) == (3.0, 6.0)
    assert counted.told().cells == {"e2e": {0: 1.5}, "pricon": {0: 1.5}}
    again = meter(tmp_path, "s2.0")  # its log was not kept, so that its number is taken again
    assert again.told().pod_hours == 2.0
    assert meter(tmp_path, "s3.0").metrics["pod_hours"] == 3.0, "a submission that takes nothing"


def test_lanes_at_work_share_alike_and_so_do_the_trials_of_each(tmp_path: Path) -> None:
    counted = meter(tmp_path, "s1.0")
    counted.add(HOUR, [[E2E]])
    counted.add(HOUR, [[E2E], [PRICON, OTHER_FOLD]])
    counted.add(HOUR, [[], [OTHER_FOLD]])  # a lane that trains for trials with results has none
    counted.add(HOUR)
    told = counted.told()
    assert told.pod_hours == 4.0
    assert told.cells == {"e2e": {0: 1.5}, "pricon": {0: 0.25, 1: 1.25}}
    assert counted.metrics_of(E2E) == {"pod_hours": 1.5, "gpu_hours": 3.0, "cost.EUR": 2.25}
    assert counted.metrics_of(OTHER_FOLD)["cost.EUR"] == 1.875
    assert counted.metrics_of(Sharer(trial="d4", arm="e2e", fold=1)) == {}


def test_trials_of_one_cell_are_one_cell(tmp_path: Path) -> None:
    """Seeds and stimuli of an arm in a fold; of what they took, each keeps its own."""
    counted = meter(tmp_path, "s1.0")
    other_seed = Sharer(trial="e5", arm="e2e", fold=0)
    counted.add(HOUR, [[E2E, other_seed, PRICON]])
    counted.add(NodesHeld(nodes=0, gpus=0.0, seconds=60.0), [[OTHER_FOLD]])  # its node is gone
    assert counted.told().cells == {"e2e": {0: 0.666667}, "pricon": {0: 0.333333}}
    assert counted.metrics_of(other_seed)["pod_hours"] == 0.333333


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}"),
        '{"total": {"pod_hours": "many"}, "parts": []}',
        '{"total": {"pod_hours": 1}, "parts": [["a1", {"pod_hours": 1}]]}',
    ],
)
def test_a_torn_file_counts_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "s1.0.json").write_text(text, encoding="utf-8")
    assert meter(tmp_path, "s1.1").told().pod_hours == 0.0


def test_a_store_that_takes_nothing_keeps_nobody_from_counting(tmp_path: Path) -> None:
    counted = meter(tmp_path / "used", "s1.0")
    (tmp_path / "used").write_text("a file in the way", encoding="utf-8")
    counted.add(HOUR)
    assert counted.told().pod_hours == 1.0
