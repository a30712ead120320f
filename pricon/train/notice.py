"""Word that this process will be stopped soon: what trains is saved first.

It comes as a file, because whoever stops a pod runs a command in it before: on a spot node that is
taken away, with some fifteen seconds left. The command waits for those who have something to save.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GIVEN = "given"
"""File that is the notice."""
BUSY = ".busy"
"""End of the names of files that say who has something to save: `<process>.busy`."""
_LOOK_EVERY_S = 0.5


class Notice:
    """Looks for a notice, now and then; heeds it once.

    Args:
        folder: where it is given; None where nobody gives one.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.is_heeded = False
        self._looked_at = 0.0

    def is_new(self) -> bool:
        """Whether there is one that was not heeded here yet."""
        now = time.monotonic()
        if self.folder is None or self.is_heeded or now - self._looked_at < _LOOK_EVERY_S:
            return False
        self._looked_at = now
        return (self.folder / GIVEN).exists()

    def heed(self) -> None:
        """All that there was to save is saved."""
        self.is_heeded = True
        self._forget()

    @contextmanager
    def awaits(self) -> Iterator[None]:
        """Has whoever gives notice wait, until it is heeded or this is left.

        Where notice was given before, nobody waits for what begins now.
        """
        if self.folder is not None and not (self.folder / GIVEN).exists():
            with suppress(OSError):  # a full disk: then nobody waits
                self.folder.mkdir(parents=True, exist_ok=True)
                self._busy(self.folder).touch()
        try:
            yield
        finally:
            self._forget()

    def _forget(self) -> None:
        if self.folder is not None:
            with suppress(OSError):
                self._busy(self.folder).unlink(missing_ok=True)

    @staticmethod
    def _busy(folder: Path) -> Path:
        return folder / f"{os.getpid()}{BUSY}"
