"""A Ray of our own on this machine: it starts with a run and stops with it."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from pricon.errors import LaunchError
from pricon.launch.ray_lanes import Machine

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


@contextmanager
def own_ray() -> Iterator[Machine]:
    """A Ray of our own, quiet, without dashboard; stopped in every case.

    Raises:
        LaunchError: it does not start.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # noqa: TID251  # Ray's own processes inherit it
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
        )
    except Exception as err:  # Ray raises whatever failed inside it
        raise LaunchError(
            f"Ray did not start on this machine: {type(err).__name__}: {err}",
            "`--target inprocess` runs the job without Ray",
        ) from err
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in the place of ours
    try:
        yield ray.cluster_resources()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()
