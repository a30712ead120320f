"""What the driver needs of a place to run lanes in: the one object in which targets differ."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pricon.launch.events import Event
from pricon.launch.worker import Assignment


class LaneRunner(Protocol):
    """Runs lanes and reports on them."""

    def run(self, lanes: Sequence[Assignment], listen: Callable[[Event], None]) -> None:
        """Run all `lanes`, telling `listen` (in the calling thread) what happens.

        A lane that fails ends with a `LaneDone` that says why; the others go on. Returns when all
        have ended.

        Raises:
            LaunchError: nothing could be started.
        """
        ...
