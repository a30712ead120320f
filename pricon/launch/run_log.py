"""What a driver says: told at once, and kept where it outlives all pods."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from pricon.errors import CorpusError
from pricon.launch.bulletins import Bulletin, EndBulletin, read, write
from pricon.launch.submission import Submission
from pricon.storage import Storage
from pricon.track.tracker import Tracker

Say = Callable[[Bulletin], None]

_KEEP_EVERY_S = 60.0


class RunLog:
    """Says bulletins, and keeps them beside the runs, where they outlive all pods.

    Files of a submission: `<id>.<attempt>.log`, and `<id>.json`, its end, where that is for good.
    The tracker gets the log as well: people may read that without keys to the object storage.

    Args:
        say: told every bulletin.
        submission: whose log it is.
    """

    def __init__(self, say: Say, submission: Submission) -> None:
        self._say = say
        self._submission = submission
        self._folder: Storage | None = None
        self._attempt = 0
        self._lines: list[str] = []
        self._kept_at = time.monotonic()

    def open(self, folder: Storage) -> EndBulletin | None:
        """Keep the log in `folder` from now on; how this submission ended before, if for good.

        Raises:
            StorageError: the store failed.
        """
        self._folder = folder
        names = folder.list(f"{self._submission.id}.")
        self._attempt = sum(name.endswith(".log") for name in names)
        if f"{self._submission.id}.json" not in names:
            return None
        end = read(folder.read(f"{self._submission.id}.json").decode())
        return end if isinstance(end, EndBulletin) else None

    def say(self, bulletin: Bulletin) -> None:
        """Say it, and keep it within a minute."""
        self._say(bulletin)
        self._lines.append(write(bulletin))
        if time.monotonic() - self._kept_at > _KEEP_EVERY_S:
            self._keep()

    def hand_to(self, tracker: Tracker, handle: str | None, end: EndBulletin) -> None:
        """Let the tracker keep the log of a run with a name, as it will be when `end` is said."""
        if handle is not None:
            tracker.keep_log(handle, self._name, _document([*self._lines, write(end)]))

    def close(self, end: EndBulletin) -> None:
        """The last word. An end that another try would only repeat goes on record."""
        if self._folder is not None and end.is_final:
            with suppress(CorpusError):  # then a retry finds out for itself
                self._folder.write(f"{self._submission.id}.json", write(end).encode())
        self._lines.append(write(end))
        self._keep()
        self._say(end)

    def _keep(self) -> None:
        if self._folder is not None:
            with suppress(CorpusError):  # nothing of a run depends on it
                self._folder.write(self._name, _document(self._lines))
        self._kept_at = time.monotonic()

    @property
    def attempt(self) -> str:
        """Name of this attempt of the submission, once the log is open."""
        return f"{self._submission.id}.{self._attempt}"

    @property
    def _name(self) -> str:
        return f"{self.attempt}.log"


def _document(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
