"""A Ray of our own on this machine: it starts with a run and stops with it."""

from contextlib import suppress

import psutil
import ray

from pricon.errors import LaunchError
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


def own_ray() -> Machine:
    """Start a Ray of our own, quiet, without dashboard; what this machine has.

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
    return ray.cluster_resources()  # type: ignore[no-untyped-call,no-any-return]


def end_controllers() -> None:
    """Kill the controllers of the Ray Train runs of our own Ray, so that nobody waits for them."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended by itself
            if " ".join(process.cmdline()).startswith("ray::TrainController"):
                process.kill()
