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
from typing import IO, NoReturn

from pricon.errors import SpecError, is_of_machine

_PREFIX_CHARACTERS = 50
"""Of its name, which may be as long as a file system allows, for that of what is not whole."""


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
    """Refuse to overwrite, and what can be no file.

    Raises:
        SpecError: something has this name, or no file can have it.
    """
    try:
        os.lstat(target)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as err:
        _refuse(target, err)
    if target.is_dir():
        raise SpecError(
            f"{target} is a folder\n  expected the name of a file",
            f"name one in it: `--into {target / 'bundle.tar.gz'}`",
        )
    raise _taken(target)


@contextmanager
def new_archive(target: Path, folder: str) -> Iterator[Archive]:
    """An archive that takes its name when it is whole; where that fails nothing is left of it.

    Args:
        target: its file.
        folder: inside, in which everything lies.

    Raises:
        SpecError: nothing can be written there, or something has this name, be it only in the end.
    """
    check_free(target)
    scratch = target.absolute().parent
    prefix = f".{target.name[:_PREFIX_CHARACTERS]}."
    try:
        partial = NamedTemporaryFile(dir=scratch, prefix=prefix, delete=False)  # noqa: SIM115
    except OSError as err:
        _refuse(target, err)
    try:
        with partial, tarfile.open(fileobj=partial, mode="w:gz", compresslevel=6) as tar:
            yield Archive(tar, folder, scratch)
        _name(partial.name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial.name)


def _name(partial: str, target: Path) -> None:
    """Give a file its name, unless something has that by now.

    Raises:
        SpecError: something has it, or it leads nowhere any more.
    """
    try:
        _move(partial, target)
    except FileExistsError as err:
        raise _taken(target) from err
    except OSError as err:
        _refuse(target, err)


def _move(partial: str, target: Path) -> None:
    """Rename and replace nothing, which renaming itself does not promise."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: an empty file holds the name
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        try:
            os.replace(partial, target)
        except BaseException:
            os.unlink(target)
            raise


def _taken(target: Path) -> SpecError:
    return SpecError(
        f"{target} is there already, and is not overwritten",
        "name another file with `--into`, or move that one away",
    )


def _refuse(target: Path, error: OSError | ValueError) -> NoReturn:
    """A name that leads nowhere, in words; a disk that fails is said as it is."""
    if isinstance(error, OSError) and is_of_machine(error):
        raise error
    why = error.strerror if isinstance(error, OSError) else str(error)
    raise SpecError(f"cannot write {target}: {why}", "name another file with `--into`") from error
