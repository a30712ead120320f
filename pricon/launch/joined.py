"""The Ray cluster that this process belongs to: the driver of a run on a cluster."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import ray

from pricon.errors import LaunchError
from pricon.launch.ray_lanes import Connect, Machine

_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Workers may have to wait until the cluster has grown by a node, or for another's run to end.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(24 * 3600),
}


def joined_ray(*, grows: bool) -> Connect:
    """Join the Ray cluster; `grows` where nodes are added as lanes ask for them."""
    return partial(_joined, grows=grows)


@contextmanager
def _joined(*, grows: bool) -> Iterator[Machine | None]:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # noqa: TID251  # Ray Train hands it to its controller
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as err:  # Ray raises whatever failed inside it
        raise LaunchError(
            f"no Ray cluster to be joined from here: {type(err).__name__}: {err}",
            "`target: ray` is for a process inside a Ray cluster, such as the entrypoint of a Ray "
            "job; `--target local` starts a Ray of its own",
        ) from err
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in the place of ours
    try:
        yield None if grows else ray.cluster_resources()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()
