"""From the name of a target to what runs lanes there."""

from pricon.launch.lanes import Lanes
from pricon.spec.resources import ResourcesSpec, Target


def lanes_for(target: Target, resources: ResourcesSpec) -> Lanes:
    """The runner of a target; torch and ray are imported only where it needs them."""
    match target:
        case "inprocess":
            from pricon.launch.inprocess import InprocessLanes

            return InprocessLanes()
        case "local":
            from pricon.launch.local import LocalLanes

            return LocalLanes(resources)
