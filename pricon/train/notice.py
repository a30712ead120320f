"""Word that a process will be stopped soon: what trains is saved first.

It comes as a file, because whoever stops a pod runs a command in it before: on a spot node that is
taken away, with some fifteen seconds left. The command waits for those who have something to save.

Rank 0 saves for all ranks of a lane, and each may be in another pod. Whoever is told passes it on.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds, and who gives notice needs the names of files alone
    from pricon.train.ranks import Ranks

GIVEN = "given"
"""File that is the notice."""
BUSY = ".busy"
"""End of the names of files that say who has something to save: `<process>.busy`."""
_LOOK_EVERY_S = 0.5
_PASSED_ON, _ANSWERED = "notices", "notices-heeded"
"""Counters that the ranks of a lane share."""


class Notice:
    """Notices to the ranks of a lane; each is heeded once.

    Args:
        folder: where this rank is given one; None where nobody gives any.
        ranks: of the lane; None is a lone one.
    """

    def __init__(self, folder: Path | None, ranks: "Ranks | None" = None) -> None:
        self.folder = folder
        self.is_new = False
        """On rank 0: some rank was given one that was not heeded when it looked last."""
        self.is_heeded = False
        """On rank 0: one was."""
        self._ranks = ranks
        self._looked_at = 0.0
        self._is_given = False
        self._is_answered = False
        self._number = 0  # of this rank's notice among those that were passed on
        self._num_passed_on = 0

    def look(self) -> None:
        """Look for notices, where that was not done just now.

        Ranks other than the first pass theirs on, and hear here when it was heeded.
        """
        now = time.monotonic()
        if self.folder is None or now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        self._is_given = self._is_given or (self.folder / GIVEN).exists()
        is_own = self._is_given and not self._is_answered
        if self._ranks is None or self._ranks.index == 0:
            self._num_passed_on = self._count(_PASSED_ON)
            self.is_new = is_own or self._num_passed_on > self._count(_ANSWERED)
        elif is_own:
            self._number = self._number or self._count(_PASSED_ON, 1)
            if self._count(_ANSWERED) >= self._number:
                self._answer()

    def heed(self) -> None:
        """On rank 0: all that there was to save, when it looked last, is saved."""
        self.is_new, self.is_heeded = False, True
        if self._is_given:
            self._answer()
        self._count(_ANSWERED, self._num_passed_on - self._count(_ANSWERED))

    def _count(self, name: str, more: int = 0) -> int:
        return 0 if self._ranks is None else self._ranks.count(name, more)

    def _answer(self) -> None:
        """Whoever gave this rank its notice need not wait any longer."""
        self._is_answered = True
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
