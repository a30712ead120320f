"""Processes on this machine: which belong together, what they call themselves, and their end."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

CONTROLLER = "ray::TrainController"
"""Title of the process in which Ray Train runs a lane."""


def family_of(submission: psutil.Process) -> list[psutil.Process]:
    """A submission and all that it has started, as far as it is there."""
    with suppress(psutil.NoSuchProcess):
        return [submission, *submission.children(recursive=True)]
    return []


def lives(process: psutil.Process) -> bool:
    """Whether it is there, and not only waited for by whoever started it."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def title_of(process: psutil.Process) -> str:
    """Of a worker of Ray what it calls itself, without what it does: `ray::TrainController`."""
    with suppress(psutil.Error, IndexError):
        return Path(process.cmdline()[0]).name.partition(".")[0].strip()
    return ""


def kill(processes: Iterable[psutil.Process]) -> bool:
    """Kill them; whether one was there."""
    num_killed = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            num_killed += 1
    return num_killed > 0
