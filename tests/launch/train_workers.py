"""Workers of Ray Train from outside: which there are, what they do, and their death."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def train_workers() -> list[int]:
    """Workers of the Ray that this process has started; other tests may have one of their own."""
    return actors(b"RayTrainWorker")


def actors(kind: bytes) -> list[int]:
    """Actors of a kind, in the Ray that this process has started."""
    return [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if kind in read(pid, "cmdline") and os.getpid() in ancestors(pid)
    ]


def ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        status = read(pid, "stat").rpartition(b")")[2].split()
        pid = int(status[1]) if status else 0
        yield pid


def read(pid: int, name: str) -> bytes:
    """A file of a process, empty where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def killed_when(*moments: bytes) -> Iterator[list[bytes]]:
    """Kill the workers at the first of `moments`, their successors at the second, and so on.

    Args:
        *moments: of what it does then, as Ray writes it into the title of its process.

    Yields:
        The moments that came.
    """
    met: list[bytes] = []
    is_over = threading.Event()

    def watch() -> None:
        known: set[int] = set()
        dying: set[int] = set()
        for moment in moments:
            while not (pids := _caught(moment, known - dying)):
                if is_over.is_set():
                    return
                known.update(train_workers())
            kill(pids)
            dying.update(pids)
            met.append(moment)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield met
    finally:
        is_over.set()
        watcher.join()


def _caught(moment: bytes, workers: set[int]) -> list[int]:
    """Those of `workers` at `moment`, looked at often: it may be over in a tenth of a second."""
    for _ in range(50):
        if pids := [pid for pid in workers if moment in read(pid, "cmdline")]:
            return pids
        time.sleep(0.001)
    return []


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail rather than wait for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not over after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)  # pytest-timeout has one
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)
