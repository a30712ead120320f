"""From the name of a target to what runs lanes there."""

import os

from pricon.errors import SpecError
from pricon.launch.lanes import Lanes
from pricon.spec.resources import ResourcesSpec, Target


def lanes_for(target: Target, resources: ResourcesSpec) -> Lanes:
    """The runner of a target; torch and ray are imported only where it needs them.

    Raises:
        SpecError: the target is another machine's, to which a job is sent as a whole.
    """
    match target:
        case "inprocess":
            from pricon.launch.inprocess import InprocessLanes

            return InprocessLanes()
        case "local":
            _quieten_daemons()
            from pricon.launch.local import OwnRay
            from pricon.launch.ray_lanes import RayLanes

            own = OwnRay()
            return RayLanes(resources, own.start, own)
        case "ray":
            _quieten_daemons()
            from pricon.launch.joined import joined_ray
            from pricon.launch.ray_lanes import RayLanes

            return RayLanes(resources, joined_ray(grows=resources.pool is not None))
    raise SpecError(
        f"`target` is `{target}`, where lanes cannot be run from here",
        "take `--target local` or `--target inprocess`",
    )


def _quieten_daemons() -> None:
    """Before Ray is imported, which reads it then.

    Whatever else it is told, Ray prints what its daemons complain of into the driver's output:
    dozens of lines for a node that is gone, of which we have a sentence.
    """
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # noqa: TID251  # how Ray is told
