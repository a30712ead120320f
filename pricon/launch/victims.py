"""What there is to kill of a run on this machine."""

from collections.abc import Iterable
from typing import Literal, get_args

import psutil

from pricon.launch.processes import CONTROLLER, family_of, lives, title_of

Victim = Literal["worker", "controller", "mailbox", "raylet", "gcs", "driver", "machine"]
"""What is killed; `machine` is every process of the run at once."""
VICTIMS: tuple[Victim, ...] = get_args(Victim)

_TITLES: dict[str, Victim] = {
    "ray::RayTrainWorker": "worker",
    CONTROLLER: "controller",
    "ray::Mailbox": "mailbox",
    "raylet": "raylet",
    "gcs_server": "gcs",
}
"""Names of processes of a run."""
_IDLE = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
"""Names of what waits for a GCS that is gone, for a minute, and does nothing."""
WORDS: dict[Victim, str] = {
    "worker": "a worker",
    "controller": "the controller of a lane",
    "mailbox": "the mailbox",
    "raylet": "the raylet",
    "gcs": "the GCS",
    "driver": "the driver",
    "machine": "everything at once",
}
"""For a line."""


def victims_of(submission: psutil.Process) -> dict[Victim, list[psutil.Process]]:
    """What there is of each kind.

    Raylet and GCS count from when lanes work: before, Ray ends a driver that needs one of them and
    finds it gone, at once or after a minute, without a word.

    Args:
        submission: the driver.
    """
    family = family_of(submission)
    found: dict[Victim, list[psutil.Process]] = {"driver": [submission], "machine": family}
    for process in family:
        kind = _TITLES.get(title_of(process))
        if kind is not None:
            found.setdefault(kind, []).append(process)
    if "worker" not in found:
        found.pop("raylet", None)
        found.pop("gcs", None)
    return found


def at_work(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of them that may still do something."""
    return [one for one in processes if lives(one) and title_of(one) not in _IDLE]
