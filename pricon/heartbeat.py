"""Whether a process still gets any further: what works beats, and a watch looks for beats.

A hang raises no error: a disk or a peer that never answers, a deadlock, a rank for which the others
wait. Only that nothing happens any more can be seen.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_HERE = Path(__file__).parent
_LOOKS = 20
"""Within the limit."""
_LOOKS_AT_WAITING = 25
"""So many, where others are waited for: who hangs by itself is noticed before."""
_PLACES = 3
"""Most that are told."""


class _Pulse:
    """Of this process."""

    def __init__(self) -> None:
        self.beats = 0
        self.waiting = 0
        self.lock = threading.Lock()

    @property
    def looks(self) -> int:
        """So many in vain are a hang."""
        return _LOOKS_AT_WAITING if self.waiting else _LOOKS


_PULSE = _Pulse()


def beat() -> None:
    """Something is done: a batch trained, a shard read, a record kept."""
    _PULSE.beats += 1


def beats() -> int:
    """How often this process has got further."""
    return _PULSE.beats


@contextmanager
def waits_for_others() -> Iterator[None]:
    """As long as this is open, other processes are waited for, of which one may hang.

    That one is noticed first, and told by its own place, because it waits for nobody. On GPUs the
    collectives of ranks return before they are done, so that any rank may be told.
    """
    with _PULSE.lock:
        _PULSE.waiting += 1
    try:
        yield
        beat()
    finally:
        with _PULSE.lock:
            _PULSE.waiting -= 1


@contextmanager
def watched(limit_s: float | None, hung: Callable[[str], object]) -> Iterator[None]:
    """As long as this is open, `hung` is told of a hang of the calling thread, once, by another.

    Looks are counted, not seconds: those in which the whole process was held, as in a container
    that is frozen, are nobody's fault. Native code that never lets go of Python is not noticed.

    Args:
        limit_s: so long may nothing beat, and a quarter longer where others are waited for; None:
            for ever.
        hung: told where in the code the calling thread is, and those that work for it.
    """
    if limit_s is None:
        yield
        return
    is_over, caller = threading.Event(), threading.get_ident()

    def look() -> None:
        looks, seen = 0, beats()
        while looks < _PULSE.looks:
            if is_over.wait(limit_s / _LOOKS):
                return
            before, seen = seen, beats()
            looks = looks + 1 if seen == before else 0
        hung(_places(caller))

    thread = threading.Thread(target=look, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()


def _places(caller: int) -> str:
    """Where in our code a thread is, and, if they are in it, others: those that it waits for."""
    frames = sys._current_frames()
    own = frames.pop(caller, None)
    frames.pop(threading.get_ident())  # which looks
    places = [_place(own), *map(_place, frames.values())]
    known = [place for place in dict.fromkeys(places) if place is not None]
    return ", ".join(known[:_PLACES]) or "code of others"


def _place(frame: FrameType | None) -> str | None:
    """The innermost line of our own that leads to a frame."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(_HERE):
            name = file.relative_to(_HERE.parent)
            return f"`{frame.f_code.co_name}` ({name}:{frame.f_lineno})"
        frame = frame.f_back
    return None
