"""What a run on a cluster takes: hours of worker pods and of their GPUs, and what those cost.

Counted while lanes run, from the nodes that Ray has. That a pod comes up, pulls an image, is held
before lanes begin or after they end, is not in it, nor is the head: a bill is higher.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from pricon.errors import CorpusError, StorageError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What something took.

    Args:
        pod_hours: of worker pods.
        gpu_hours: of all GPUs that they had, used or not.
        cost: in `currency`; None where a part of it had no price, or one in another currency.
        currency: of the cost; None where nothing was taken yet.
    """

    pod_hours: float = 0.0
    gpu_hours: float = 0.0
    cost: float | None = 0.0
    currency: str | None = None

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        cost = None
        currencies = [one for one in {self.currency, other.currency} if one is not None]
        if self.cost is not None and other.cost is not None and len(currencies) < 2:
            cost = self.cost + other.cost
        return Usage(
            pod_hours=self.pod_hours + other.pod_hours,
            gpu_hours=self.gpu_hours + other.gpu_hours,
            cost=cost,
            currency=min(currencies, default=None),
        )


class Meter:
    """Counts what an attempt takes, beside all that its run took before, and keeps it.

    A run may have several submissions, each of them several attempts, and each attempt a price of
    its own; each keeps a file. What another one takes at the same time is not heard of.

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
        self._own = Usage()
        self._before = Usage()
        for file in folder.list():
            if file != self._file:
                self._before = self._before.plus(_read(folder, file))

    def add(self, held: NodesHeld) -> None:
        """What was there for a while."""
        hours, price = held.seconds / _HOUR_S, self._price
        self._own = self._own.plus(
            Usage(
                pod_hours=held.nodes * hours,
                gpu_hours=held.gpus * hours,
                cost=None if price is None else price.per_hour * held.nodes * hours,
                currency=None if price is None else price.currency,
            )
        )

    def told(self, *, is_last: bool = False) -> UsageBulletin:
        """What the run took so far, which is kept by that."""
        if self._own.pod_hours:
            with suppress(CorpusError):  # nothing of a run depends on it
                self._folder.write(self._file, json.dumps(asdict(self._own)).encode())
        total = self._before.plus(self._own)
        is_priced = total.cost is not None and total.currency is not None
        return UsageBulletin(
            pod_hours=round(total.pod_hours, 4),
            gpu_hours=round(total.gpu_hours, 4),
            cost=round(total.cost or 0.0, 4) if is_priced else None,
            currency=total.currency if is_priced else None,
            is_last=is_last,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """As MLflow has them."""
        told = self.told()
        cost = {} if told.cost is None else {f"cost.{told.currency}": told.cost}
        return {"pod_hours": told.pod_hours, "gpu_hours": told.gpu_hours, **cost}


def _read(folder: Storage, file: str) -> Usage:
    """What an attempt kept; of a file that is not whole nothing."""
    try:
        return TypeAdapter(Usage).validate_json(folder.read(file))
    except StorageError:
        raise
    except (CorpusError, ValueError):
        return Usage()


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
