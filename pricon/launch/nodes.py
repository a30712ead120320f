"""Whether a Ray cluster has nodes for workers. A run that has had none for long ends by itself.

Ray Train asks for a lost worker group again without end, and the head of such a run would wait, and
cost, for as long as the run may take at all.
"""

import time
from collections.abc import Callable

import ray

from pricon.launch.lanes import NoWorkersError
from pricon.launch.sizing import Machine

_ASK_EVERY_S = 10.0


class WorkerNodes:
    """Looks for them, now and then.

    Args:
        limit_s: so long may there be none; None: for ever.
        resources: of all nodes, as Ray knows them. A head on a cluster has no CPUs for work.
    """

    def __init__(
        self, limit_s: float | None, resources: Callable[[], Machine] = ray.cluster_resources
    ) -> None:
        self.limit_s = limit_s
        self.resources = resources
        self.missing_since: float | None = None
        self.asked_at: float | None = None

    def check(self) -> None:
        """Look, where it is time to.

        Raises:
            NoWorkersError: there has been no node for workers for too long.
        """
        now = time.monotonic()
        if self.limit_s is None or (self.asked_at and now - self.asked_at < self._every_s):
            return
        self.asked_at = now
        if self.resources().get("CPU", 0.0) > 0:
            self.missing_since = None
            return
        self.missing_since = self.missing_since or now
        if now - self.missing_since > self.limit_s:
            raise NoWorkersError(
                f"no node for workers has come within {self.limit_s:g} s",
                "submit again to wait again: `pricon status` then says what the worker pods wait "
                "for; `resources.workers_within_s`, or `pendingLimitS` of the cluster's profile, "
                "is the limit",
            )

    @property
    def _every_s(self) -> float:
        return min(_ASK_EVERY_S, (self.limit_s or 0.0) / 4)
