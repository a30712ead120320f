"""Records that could not be delivered, as JSON lines in a local file, until they can."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from pricon.track.records import Record, from_line, to_line

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record in a journal, its line, and where that ends."""

    record: Record
    line: bytes
    end: int


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

    def read(self) -> Iterator[Entry]:
        """Whole records, oldest first.

        One at a time is in memory; what is appended meanwhile is not seen.
        """
        with self._lock:
            num_bytes = self.path.stat().st_size if self.path.exists() else 0
        if num_bytes == 0:
            return
        with self.path.open("rb") as file:
            while file.tell() < num_bytes:
                line = file.readline()
                record = _parse(line)
                if record is None:
                    _log.warning("%s holds half a record, which is skipped", self.path)
                else:
                    yield Entry(record=record, line=line, end=file.tell())

    def drop(self, last: Entry | None) -> None:
        """Takes out all up to an entry, and halves; a file without any record is removed.

        Nothing, where another process has done so since: delivering twice is harmless.
        """
        fresh = self.path.with_suffix(".part")
        with self._lock, self.path.open("rb") as file:
            if last is not None:
                file.seek(last.end - len(last.line))
                if file.read(len(last.line)) != last.line:
                    return
            with fresh.open("wb") as kept:
                kept.writelines(line for line in file if _parse(line) is not None)
            fresh.replace(self.path)
            if self.path.stat().st_size == 0:
                self.path.unlink()

    def __bool__(self) -> bool:
        """Whether it holds anything."""
        return self.path.exists()

    def _is_torn(self) -> bool:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def _parse(line: bytes) -> Record | None:
    """The record of a line, None where a crash left only half of it."""
    try:
        return from_line(line)
    except ValidationError:
        return None
