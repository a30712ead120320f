"""From the name of a target to what runs lanes there."""

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
            from pricon.launch.local import end_controllers, own_ray
            from pricon.launch.ray_lanes import RayLanes

            return RayLanes(resources, own_ray, end_controllers=end_controllers)
        case "ray":
            from pricon.launch.joined import joined_ray
            from pricon.launch.ray_lanes import RayLanes

            return RayLanes(resources, joined_ray(grows=resources.pool is not None))
    raise SpecError(
        f"`target` is `{target}`, where lanes cannot be run from here",
        "take `--target local` or `--target inprocess`",
    )
