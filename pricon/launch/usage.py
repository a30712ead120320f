"""What a run on a cluster took: hours of worker pods and of their GPUs, and what those cost.

Counted while lanes run, from nodes that have joined Ray: that a node comes up, pulls an image or
goes is not in it, so a bill is somewhat higher.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.spec.profile import ClusterProfile, PoolSpec

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Hours, and the price of one.

    Args:
        pod_hours: of worker pods.
        gpu_hours: of all GPUs that they had, used or not.
        price_per_hour: of a worker pod; None where nobody has said it.
        currency: of the price.
    """

    pod_hours: float = 0.0
    gpu_hours: float = 0.0
    price_per_hour: float | None = None
    currency: str = ""

    def plus(self, held: NodesHeld) -> "Usage":
        """With what was had for a while more."""
        return replace(
            self,
            pod_hours=self.pod_hours + held.nodes * held.seconds / _HOUR_S,
            gpu_hours=self.gpu_hours + held.gpus * held.seconds / _HOUR_S,
        )

    def after(self, attempt: UsageBulletin) -> "Usage":
        """With what attempts before this one took."""
        return replace(
            self,
            pod_hours=self.pod_hours + attempt.pod_hours,
            gpu_hours=self.gpu_hours + attempt.gpu_hours,
        )

    @property
    def cost(self) -> float | None:
        """In `currency`, or None."""
        return None if self.price_per_hour is None else self.price_per_hour * self.pod_hours

    @property
    def metrics(self) -> dict[str, float]:
        """As MLflow has them."""
        cost = {} if self.cost is None else {f"cost.{self.currency}": self.cost}
        return {"pod_hours": self.pod_hours, "gpu_hours": self.gpu_hours, **cost}

    def told(self, *, is_last: bool) -> UsageBulletin:
        """As a bulletin."""
        return UsageBulletin(
            pod_hours=round(self.pod_hours, 4),
            gpu_hours=round(self.gpu_hours, 4),
            cost=None if self.cost is None else round(self.cost, 4),
            currency=None if self.cost is None else self.currency,
            is_last=is_last,
        )


def pool_facts(pool: PoolSpec, profile: ClusterProfile) -> dict[str, Any]:
    """What is noted of a pool with a submission, so that its driver knows what pods cost."""
    return {"price_per_hour": pool.price_per_hour, "currency": profile.currency}


def usage_in(facts: Mapping[str, object]) -> Usage | None:
    """Where counting begins, as the facts of a submission say; None where nodes are not its own."""
    pool = facts.get("pool")
    if not isinstance(pool, dict):
        return None
    price, currency = pool.get("price_per_hour"), pool.get("currency")
    if isinstance(price, int | float) and isinstance(currency, str):
        return Usage(price_per_hour=price, currency=currency)
    return Usage()
