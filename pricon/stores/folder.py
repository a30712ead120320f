"""Objects as files. Owns what makes a file appear whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from pricon.errors import StorageError
from pricon.stores.objects import checked, missing, whole

_PARTIAL = ".partial-"
"""Starts the name of a file that is still being written; such files are never listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStorage:
    """Objects as files below `root`, which stays the same where a process changes its folder."""

    uri: str
    root: Path

    def read(self, path: str) -> bytes:
        """See Storage."""
        with self._translated(path):
            return self._file(path).read_bytes()

    def read_range(self, path: str, start: int, num_bytes: int) -> bytes:
        """See Storage."""
        with self._translated(path), self._file(path).open("rb") as file:
            file.seek(start)
            data = file.read(num_bytes)
        return whole(data, num_bytes, f"{self.uri}/{path}")

    def write(self, path: str, data: bytes) -> None:
        """See Storage."""
        with self._translated(path), self._partial(path) as (partial, file):
            file.write(data)
            _replace(partial, file, self._file(path))

    def create(self, path: str, data: bytes) -> bool:
        """See Storage. A hard link appears with its whole content, or not at all."""
        with self._translated(path), self._partial(path) as (partial, file):
            file.write(data)
            _sync(file)
            try:
                os.link(partial, self._file(path))
            except FileExistsError:
                return False
            _sync_folder(partial.parent)
        return True

    def upload(self, path: str, file: Path) -> None:
        """See Storage."""
        with (
            self._translated(path),
            file.open("rb") as source,
            self._partial(path) as (partial, target),
        ):
            copyfileobj(source, target, 1 << 20)
            _replace(partial, target, self._file(path))

    def list(self, prefix: str = "") -> list[str]:
        """See Storage."""
        folder = self.root / prefix.rpartition("/")[0]
        with self._translated(prefix):
            paths = [
                (Path(parent) / name).relative_to(self.root).as_posix()
                for parent, _, names in os.walk(folder, onerror=_unless_missing)
                for name in names
                if not name.startswith(_PARTIAL)
            ]
        return sorted(path for path in paths if path.startswith(prefix))

    def exists(self, path: str) -> bool:
        """See Storage."""
        with self._translated(path):
            return self._file(path).is_file()

    def delete(self, path: str) -> None:
        """See Storage. Folders that become empty go too, up to the root."""
        file = self._file(path)
        with self._translated(path), suppress(FileNotFoundError, NotADirectoryError):
            file.unlink()
        with suppress(OSError):
            while file != self.root:
                file = file.parent
                file.rmdir()

    def check_writable(self) -> None:
        """See Storage. Asks the nearest folder that is there."""
        with self._translated(""):
            nearest = next(
                folder for folder in (self.root, *self.root.parents) if os.path.lexists(folder)
            )
            if not nearest.is_dir():
                raise _no_folder(self.root)
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise _forbidden(self.uri)

    def child(self, path: str) -> "FolderStorage":
        """See Storage."""
        return FolderStorage(uri=f"{self.uri}/{path}", root=self._file(path))

    def _file(self, path: str) -> Path:
        return self.root / checked(path)

    @contextmanager
    def _partial(self, path: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A file beside `path` that is gone afterwards, unless it was renamed."""
        target = self._file(path)
        partial = target.with_name(f"{_PARTIAL}{secrets.token_hex(8)}-{target.name}"[:255])
        file = _open_new(partial)
        try:
            with file:
                yield partial, file
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        where = f"{self.uri}/{path}".rstrip("/")
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as err:
            raise missing(where) from err
        except PermissionError as err:
            raise _forbidden(where) from err
        except OSError as err:
            full = err.errno in {errno.ENOSPC, errno.EDQUOT}
            what = "the disk is full" if full else (err.strerror or str(err)).lower()
            raise StorageError(
                f"{what}: {where}",
                "make room, or choose a folder on another disk" if full else "try again",
            ) from err


def _forbidden(where: str) -> StorageError:
    return StorageError(
        f"permission denied: {where}\n  expected a place that this user may read and write",
        "change the permissions, or choose another folder",
    )


def _no_folder(folder: Path) -> StorageError:
    return StorageError(
        f"cannot write into {folder}: part of this path is a file, not a folder",
        "remove that file, or choose another folder",
    )


def _open_new(file: Path) -> BinaryIO:
    """A new file in a folder that another process may just have removed because it was empty."""
    for attempt in range(5):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as err:
            raise _no_folder(file.parent) from err
        try:
            return file.open("xb")
        except FileNotFoundError:
            if attempt == 4:
                raise
    raise FileNotFoundError(file)


def _replace(partial: Path, file: BinaryIO, target: Path) -> None:
    _sync(file)
    os.replace(partial, target)
    _sync_folder(target.parent)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Without this a rename may be forgotten when the machine loses its power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unless_missing(err: OSError) -> None:
    if not isinstance(err, (FileNotFoundError, NotADirectoryError)):
        raise err
