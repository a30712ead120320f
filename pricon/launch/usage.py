"""What something takes on a cluster: hours of worker pods and of their GPUs, and their price."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pricon.spec.profile import ClusterProfile, PoolSpec

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

    @staticmethod
    def of(nodes: float, gpus: float, seconds: float, price: Price | None) -> "Usage":
        """So many nodes, with so many GPUs in all of them, for so long."""
        hours = seconds / _HOUR_S
        return Usage(
            pod_hours=nodes * hours,
            gpu_hours=gpus * hours,
            cost=None if price is None else price.per_hour * nodes * hours,
            currency=None if price is None else price.currency,
        )

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

    def part(self, of: int) -> "Usage":
        """One of so many equal parts."""
        return Usage(
            pod_hours=self.pod_hours / of,
            gpu_hours=self.gpu_hours / of,
            cost=None if self.cost is None else self.cost / of,
            currency=self.currency,
        )

    def rounded(self, digits: int) -> "Usage":
        """To so many digits. Without a currency, as of what took nothing, there is no cost."""
        is_priced = self.cost is not None and self.currency is not None
        return Usage(
            pod_hours=round(self.pod_hours, digits),
            gpu_hours=round(self.gpu_hours, digits),
            cost=round(self.cost or 0.0, digits) if is_priced else None,
            currency=self.currency if is_priced else None,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """As MLflow has them."""
        is_priced = self.cost is not None and self.currency is not None
        cost = {f"cost.{self.currency}": self.cost or 0.0} if is_priced else {}
        return {"pod_hours": self.pod_hours, "gpu_hours": self.gpu_hours, **cost}


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
