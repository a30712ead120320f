"""Lanes in this process, one after the other: for debuggers, tests and notebooks."""

from collections.abc import Sequence

import torch

from pricon.errors import PriconError
from pricon.launch.events import LaneDone, Listen
from pricon.launch.lanes import Assignment
from pricon.launch.worker import run_lane
from pricon.train.ranks import Ranks


class InprocessLanes:
    """The same worker as everywhere, without Ray."""

    def run(self, lanes: Sequence[Assignment], listen: Listen) -> None:
        """See `Lanes`."""
        if lanes:
            torch.set_num_threads(max(1, int(lanes[0].job.resources.cpus_per_worker)))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        for assignment in lanes:
            error = None
            try:
                run_lane(assignment, Ranks.current(), device, listen)
            except PriconError as err:
                error = str(err)
            listen(LaneDone(lane=assignment.lane, error=error))
