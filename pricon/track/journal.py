"""Records that could not be delivered, as JSON lines in a local file, until they can."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from pricon.track.records import Record, from_line, to_line

_log = logging.getLogger(__name__)


class Journal:
    """An append-only file of records; safe to use from several threads of one process.

    A crash in the middle of an append leaves half a line, which `read` skips with a warning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def append(self, record: Record) -> None:
        """Adds a record; it is on disk when this returns."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                # A line of its own even after a torn one.
                file.write(b"\n" * self._is_torn() + to_line(record) + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def read(self) -> list[Record]:
        """All whole records, oldest first."""
        with self._lock:
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        records = [_parse(line) for line in lines]
        if None in records:
            _log.warning("%s holds half a record, which is skipped", self.path)
        return [record for record in records if record is not None]

    def drop(self, delivered: Sequence[Record]) -> None:
        """Takes out records that were delivered, and halves; a file without any is removed."""
        gone = {to_line(record) for record in delivered}
        with self._lock:
            lines = self.path.read_bytes().splitlines()
            kept = [line for line in lines if line not in gone and _parse(line) is not None]
            if not kept:
                self.path.unlink()
                return
            fresh = self.path.with_suffix(".part")
            fresh.write_bytes(b"".join(line + b"\n" for line in kept))
            fresh.replace(self.path)

    def __bool__(self) -> bool:
        """Whether it holds anything."""
        return self.path.exists()

    def _is_torn(self) -> bool:
        data = self.path.read_bytes()[-1:] if self.path.exists() else b""
        return data not in (b"", b"\n")


def _parse(line: bytes) -> Record | None:
    """The record of a line, None where a crash left only half of it."""
    try:
        return from_line(line)
    except ValidationError:
        return None
