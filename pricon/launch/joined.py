"""The Ray cluster that this process belongs to: the driver of a run on a cluster."""

from functools import partial

import ray

from pricon.errors import LaunchError
from pricon.launch.ray_lanes import Connect
from pricon.launch.ray_start import start_ray
from pricon.launch.sizing import Machine

_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Workers may have to wait until the cluster has grown by a node, or for another's run to end.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(24 * 3600),
}


def joined_ray(*, grows: bool) -> Connect:
    """Join the Ray cluster; `grows` where nodes are added as lanes ask for them."""
    return partial(_joined, grows=grows)


def _joined(*, grows: bool) -> Machine | None:
    try:
        start_ray(_ENVIRONMENT, address="auto")
        return None if grows else ray.cluster_resources()  # type: ignore[no-untyped-call]
    except Exception as err:  # Ray raises whatever failed inside it
        raise LaunchError(
            f"no Ray cluster to be joined from here: {type(err).__name__}: {err}",
            "`target: ray` is for a process inside a Ray cluster, such as the entrypoint of a Ray "
            "job; `--target local` starts a Ray of its own",
        ) from err
