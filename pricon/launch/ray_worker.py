"""What Ray Train runs in every worker of a lane.

Which of its errors are worth another try; and its end, where nothing comes any more.
"""

import faulthandler
import math
import os
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import ray
import torch
from ray.train.torch import get_device

from pricon.errors import PriconError, StorageError
from pricon.heartbeat import watched
from pricon.launch.events import WorkerHung
from pricon.launch.lanes import Assignment
from pricon.launch.mailbox import Teller
from pricon.launch.worker import run_lane
from pricon.train.ranks import Ranks

_LAST_WORDS_S = 10.0
_START_S = 600
"""Ranks wait for each other while they start as well."""
_LONGEST_S = 20 * 24 * 3600
"""Sockets are waited for in milliseconds of 32 bits."""


def train_lane(config: dict[str, Any]) -> None:
    """Ray Train's function: runs in every worker of a lane, and again in each of its attempts."""
    assignment: Assignment = config["assignment"]
    mailbox = config["mailbox"]
    if ray.get(mailbox.error_of.remote(assignment.lane)) is not None:
        return
    resources = assignment.job.resources
    torch.set_num_threads(max(1, int(resources.cpus_per_worker)))
    ranks = Ranks.current()
    teller = Teller(mailbox, is_silent=ranks.index > 0)
    try:
        with watched(resources.hung_after_s, partial(_end, assignment, ranks, mailbox)):
            run_lane(assignment, ranks, get_device(), teller.tell)
    except Exception as err:
        if _may_pass(err, ranks):
            raise
        # The same input gives the same error, so another attempt would be in vain. Other ranks may
        # wait for this one in a collective: only leaving with an error lets Ray end them.
        ray.get(mailbox.fail.remote(assignment.lane, _said(err)))
        if ranks.size > 1:
            raise
    teller.flush()


def collective_timeout_s(hung_after_s: float | None) -> int:
    """So long ranks wait for each other: longer than for one that hangs, which is told by name."""
    return min(max(_START_S, math.ceil(1.5 * (hung_after_s or _LONGEST_S))), _LONGEST_S)


def _end(assignment: Assignment, ranks: Ranks, mailbox: Any, place: str) -> None:
    """End this process, of which nothing comes any more. Ray replaces it as one that was lost."""
    last = threading.Timer(2 * _LAST_WORDS_S, os._exit, (1,))  # the disk of its log may hang
    last.daemon = True
    last.start()
    try:
        with suppress(Exception):  # who cannot be heard of is lost all the same
            seconds = assignment.job.resources.hung_after_s or 0.0
            hung = WorkerHung(lane=assignment.lane, rank=ranks.index, seconds=seconds, place=place)
            ray.get(mailbox.put.remote(hung), timeout=_LAST_WORDS_S)
        faulthandler.dump_traceback(2)  # into the worker's own log
    finally:
        os._exit(1)


def _may_pass(err: Exception, ranks: Ranks) -> bool:
    """Whether another attempt may do better: the store was away, or another rank was lost."""
    if isinstance(err, PriconError):
        return isinstance(err, StorageError)
    # torch says of a lost rank, as of much else, that it is a RuntimeError.
    return isinstance(err, OSError) or (ranks.size > 1 and isinstance(err, RuntimeError))


def _said(err: Exception) -> str:
    return str(err) if isinstance(err, PriconError) else f"{type(err).__name__}: {err}"
