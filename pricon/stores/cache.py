"""Parts of remote objects on a local disk, shared by all processes of a machine.

A part is known by the SHA-256 of its bytes, so nothing stale is ever found. Files appear whole, by
renaming, and are checked whenever they are read; what does not fit its name is removed. A disk that
is full or broken makes reading slower, never wrong: the cache is then passed over.
"""

import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import gettempdir

from pricon.heartbeat import waits_for_others
from pricon.spec.resources import CacheSpec

_PARTIAL, _LOCKS = "partial", "locks"
_NUM_LOCKS = 64
_ABANDONED_S = 600.0
"""A file that nobody has written to for so long belongs to a process that was killed."""

_log = logging.getLogger(__name__)


def open_cache(spec: CacheSpec, uri: str) -> "PartCache | None":
    """The cache of a storage at `uri`; None where it needs none or must have none."""
    max_bytes = int(spec.max_gb * 1e9)
    if not uri.startswith("s3://") or max_bytes == 0:
        return None
    folder = Path(spec.folder or Path(gettempdir()) / f"pricon-cache-{os.getuid()}")
    return PartCache(folder=folder.absolute(), max_bytes=max_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCache:
    """Parts in a folder of this user.

    Args:
        folder: need not exist.
        max_bytes: of all parts together; the least recently used go first.
    """

    folder: Path
    max_bytes: int

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """While this lasts, no other thread or process has the turn of the same name.

        A process that is killed gives up its turn. Without a usable folder nobody waits.
        """
        try:
            with waits_for_others():
                lock = self._lock(name)
        except OSError as err:
            _pass_over(self.folder, str(err))
            yield
            return
        try:
            yield
        finally:
            os.close(lock)

    def find(self, sha256: str) -> bytes | None:
        """A part, or None where it is not there or not what it should be."""
        file = self._file(sha256)
        try:
            data = file.read_bytes()
            if hashlib.sha256(data).hexdigest() == sha256:
                os.utime(file)
                return data
            _log.warning("a damaged part is removed  file=%s", file)
            file.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError as err:
            _pass_over(self.folder, str(err))
        return None

    def keep(self, parts: Mapping[str, bytes | memoryview]) -> None:
        """Keep parts, by their SHA-256, as far as the limit and the disk allow."""
        wanted = {name: data for name, data in parts.items() if len(data) <= self.max_bytes}
        try:
            with waits_for_others():
                lock = self._lock("limit")
            try:
                for name, data in wanted.items():
                    self._make_room(len(data))
                    self._write(name, data)
            finally:
                os.close(lock)
        except OSError as err:
            _pass_over(self.folder, str(err))

    def _make_room(self, num_bytes: int) -> None:
        found = sorted(self._found())
        total = sum(size for _, size, _ in found) + num_bytes
        for _, size, file in found:
            if total <= self.max_bytes:
                return
            file.unlink(missing_ok=True)
            total -= size

    def _found(self) -> Iterator[tuple[float, int, Path]]:
        """Last use, size and place of every part; what was left by killed processes goes."""
        for file in self.folder.glob("??/*"):
            with suppress(FileNotFoundError):
                status = file.stat()
                yield status.st_mtime, status.st_size, file
        for file in self.folder.glob(f"{_PARTIAL}/*"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _ABANDONED_S:
                    file.unlink()

    def _write(self, sha256: str, data: bytes | memoryview) -> None:
        file = self._file(sha256)
        partial = self.folder / _PARTIAL / secrets.token_hex(8)
        for folder in (partial.parent, file.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    def _file(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def _lock(self, name: str) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.folder} belongs to somebody else")
        folder = self.folder / _LOCKS
        folder.mkdir(mode=0o700, exist_ok=True)
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % _NUM_LOCKS
        file = name if name == "limit" else f"{number:02}"
        lock = os.open(folder / file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except BaseException:
            os.close(lock)
            raise
        return lock


@cache
def _pass_over(folder: Path, reason: str) -> None:
    """Say so, once."""
    _log.warning("reading without a cache  folder=%s reason=%s", folder, reason)
