"""What a run on a cluster takes: hours of worker pods and of their GPUs, and what those cost.

Counted while lanes run, from the nodes that Ray has. That a pod comes up, pulls an image, is held
before lanes begin or after they end, is not in it, nor is the head: a bill is higher.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pricon.errors import CorpusError
from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.spec.profile import ClusterProfile, PoolSpec
from pricon.storage import Storage

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of a worker pod.

    Args:
        per_hour: in `currency`.
        currency: three letters.
    """

    per_hour: float
    currency: str


class Meter:
    """Counts what an attempt takes, beside all that its run took before, and keeps it.

    A run may have several submissions, and each of them several attempts; each keeps a file.

    Args:
        folder: of the files of the run.
        name: of this attempt.
        price: of a worker pod, or None where nobody has said it.

    Raises:
        StorageError: the store failed.
    """

    def __init__(self, folder: Storage, name: str, price: Price | None) -> None:
        self._folder = folder
        self._file = f"{name}.json"
        self._price = price
        self._own = {"pod_hours": 0.0, "gpu_hours": 0.0}
        self._before = {"pod_hours": 0.0, "gpu_hours": 0.0}
        for file in folder.list():
            if file != self._file:
                for noun, hours in _hours_in(folder.read(file)):
                    self._before[noun] += hours

    def add(self, held: NodesHeld) -> None:
        """What was there for a while."""
        self._own["pod_hours"] += held.nodes * held.seconds / _HOUR_S
        self._own["gpu_hours"] += held.gpus * held.seconds / _HOUR_S

    def told(self, *, is_last: bool = False) -> UsageBulletin:
        """What the run took so far, which is kept by that."""
        if self._own["pod_hours"]:
            with suppress(CorpusError):  # nothing of a run depends on it
                self._folder.write(self._file, json.dumps(self._own).encode())
        total = {noun: round(self._before[noun] + self._own[noun], 4) for noun in self._own}
        price = self._price
        return UsageBulletin(
            pod_hours=total["pod_hours"],
            gpu_hours=total["gpu_hours"],
            price_per_hour=None if price is None else price.per_hour,
            currency=None if price is None else price.currency,
            is_last=is_last,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """As MLflow has them."""
        told = self.told()
        cost = {} if told.cost is None else {f"cost.{told.currency}": told.cost}
        return {"pod_hours": told.pod_hours, "gpu_hours": told.gpu_hours, **cost}


def _hours_in(data: bytes) -> Iterator[tuple[str, float]]:
    """Of a file that is whole; of another nothing."""
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(data)
        yield from [(noun, float(found[noun])) for noun in ("pod_hours", "gpu_hours")]


def pool_facts(pool: PoolSpec, profile: ClusterProfile) -> dict[str, Any]:
    """What is noted of a pool with a submission, so that its driver knows what pods cost."""
    return {"price_per_hour": pool.price_per_hour, "currency": profile.currency}


def is_counted(facts: Mapping[str, object]) -> bool:
    """Whether nodes are the run's own, as the facts of a submission say."""
    return isinstance(facts.get("pool"), dict)


def price_in(facts: Mapping[str, object]) -> Price | None:
    """Of a worker pod, as the facts of a submission say it."""
    pool = facts.get("pool")
    if not isinstance(pool, dict):
        return None
    price, currency = pool.get("price_per_hour"), pool.get("currency")
    if isinstance(price, int | float) and isinstance(currency, str):
        return Price(per_hour=price, currency=currency)
    return None
