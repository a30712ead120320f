"""A Ray of our own on this machine: it starts with a run and stops with it."""

import psutil
import ray

from pricon.errors import LaunchError
from pricon.launch.processes import CONTROLLER, kill, lives, title_of
from pricon.launch.ray_start import start_ray
from pricon.launch.sizing import Machine

_OBJECT_STORE_BYTES = 100 * 2**20
"""Ray's shared memory. Plans and events are small; the corpus never travels through it."""

ENVIRONMENT = {
    # The controller looks at its workers this often; its default of 2 s is added to every start.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A lane that waits for a busy machine is not a failed lane.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_DAEMONS = ("gcs_server", "raylet")
"""Without one of these there is no Ray."""


class OwnRay:
    """A Ray of this process, on this machine."""

    def __init__(self) -> None:
        self._daemons: dict[str, psutil.Process] = {}

    def start(self) -> Machine:
        """Start it, quiet, without dashboard; what this machine has.

        Raises:
            LaunchError: it does not start.
        """
        try:
            start_ray(
                ENVIRONMENT,
                address="local",
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
            )
        except Exception as err:  # Ray raises whatever failed inside it
            raise LaunchError(
                f"Ray did not start on this machine: {type(err).__name__}: {err}",
                "`--target inprocess` runs the job without Ray",
            ) from err
        for child in psutil.Process().children():
            if (name := title_of(child)) in _DAEMONS:
                self._daemons[name] = child
        return ray.cluster_resources()  # type: ignore[no-untyped-call,no-any-return]

    @property
    def is_whole(self) -> bool:
        """Whether its daemons are there. Ray waits for one that is gone, ten seconds or sixty."""
        return not self._gone

    def check(self) -> None:
        """Tell of a daemon that is gone, before Ray ends this process without a word.

        Raises:
            LaunchError: one is.
        """
        if gone := self._gone:
            raise LaunchError(
                f"Ray's `{gone[0]}` has ended beside the driver, and all of Ray with it",
                "submit again to go on: finished trials are kept; if it happens again, look at the "
                "memory of this machine",
            )

    @property
    def _gone(self) -> list[str]:
        return [name for name, daemon in self._daemons.items() if not lives(daemon)]

    def end_controllers(self) -> None:
        """Kill the controllers of its Ray Train runs, so that nobody waits for them."""
        for process in psutil.Process().children(recursive=True):
            if title_of(process) == CONTROLLER:
                kill([process])
