"""A `.tar.gz` that is there whole or not at all. Owns its file; knows nothing of what is in it.

Until it is whole it has another name, beside the one it gets, and is readable by its owner alone.
"""

import io
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from pricon.errors import SpecError


class Archive:
    """What is being written: one folder of files."""

    def __init__(self, tar: tarfile.TarFile, folder: str, scratch: Path) -> None:
        self._tar = tar
        self._folder = folder
        self._scratch = scratch
        self.names: list[str] = []

    def add(self, name: str, data: bytes) -> None:
        """A file from memory."""
        self._add(name, io.BytesIO(data), len(data))

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """A file on disk without a name, so that nothing of it outlives this process.

        Beside the archive: folders for temporary files may be memory, and logs are large.
        """
        with TemporaryFile(dir=self._scratch) as file:
            yield file

    def add_end(self, name: str, file: IO[bytes], most_bytes: int) -> bool:
        """A file from disk, of one that is larger its last whole lines; whether it was larger."""
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - most_bytes)
        file.seek(start)
        if start:
            file.readline()
        self._add(name, file, size - file.tell())
        return start > 0

    def _add(self, name: str, file: IO[bytes], size: int) -> None:
        entry = tarfile.TarInfo(f"{self._folder}/{name}")
        entry.size, entry.mtime = size, time.time()
        self._tar.addfile(entry, file)
        self.names.append(name)


def check_free(target: Path) -> None:
    """Refuse to overwrite.

    Raises:
        SpecError: something has this name.
    """
    if os.path.lexists(target):
        raise SpecError(
            f"{target} is there already, and is not overwritten",
            "name another file with `--into`, or move that one away",
        )


@contextmanager
def new_archive(target: Path, folder: str) -> Iterator[Archive]:
    """An archive that takes its name when it is whole; where that fails nothing is left of it.

    Args:
        target: its file.
        folder: inside, in which everything lies.

    Raises:
        SpecError: nothing can be written there, or something has this name.
    """
    check_free(target)
    scratch = target.absolute().parent
    try:
        partial = NamedTemporaryFile(dir=scratch, prefix=f".{target.name}.", delete=False)  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError, PermissionError) as err:
        raise SpecError(
            f"cannot write {target}: {err.strerror}", "name another file with `--into`"
        ) from err
    try:
        with partial, tarfile.open(fileobj=partial, mode="w:gz", compresslevel=6) as tar:
            yield Archive(tar, folder, scratch)
        os.replace(partial.name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial.name)
