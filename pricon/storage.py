"""Bytes in a folder or an object store: all that pricon reads and writes goes through here.

Owns what storage can do; `pricon.stores` does it. A path is relative, with forward slashes; a
folder exists where it holds something, as in an object store.
"""

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from pricon.errors import CorpusError
from pricon.spec.resources import StorageSpec
from pricon.stores.folder import FolderStorage

_DEFAULT = StorageSpec()


class Storage(Protocol):
    """A place for objects. Instances can be pickled; each process opens its own connections.

    Every method raises CorpusError where the place is missing or forbidden, and StorageError where
    the service failed and trying again may help.
    """

    @property
    def uri(self) -> str:
        """As it was given, without a slash at the end."""
        ...

    def read(self, path: str) -> bytes:
        """All bytes of an object (CorpusError where it is missing)."""
        ...

    def read_range(self, path: str, start: int, num_bytes: int) -> bytes:
        """Exactly `num_bytes` bytes (CorpusError where the object is missing or ends before)."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Whole or not at all; overwrites."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """As `write`, but only where nothing is there yet.

        Returns:
            False where something was there. Of several at once, one gets True; a retry after a
            lost answer may get False for what it wrote itself, so compare before complaining.
        """
        ...

    def upload(self, path: str, file: Path) -> None:
        """As `write`, from a local file of any size."""
        ...

    def list(self, prefix: str = "") -> list[str]:
        """Paths of all objects that start with `prefix`, sorted."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object; absent is fine."""
        ...

    def check_writable(self) -> None:
        """Nothing, if something could be written; leaves nothing behind."""
        ...

    def child(self, path: str) -> "Storage":
        """The storage below `path`."""
        ...


_HALF_URI = re.compile(r"(s3|file|gs|https?):")
"""What somebody wrote who forgot a slash; no folder of that name is meant."""

_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")


def open_storage(uri: str, spec: StorageSpec = _DEFAULT) -> Storage:
    """Storage at a folder, `file://` or `s3://bucket/prefix`. Nothing is touched yet.

    Raises:
        CorpusError: another scheme, or no name of a bucket.
    """
    scheme, separator, rest = uri.partition("://")
    uri = uri.rstrip("/") or "/"
    if not separator and not _HALF_URI.match(uri):
        return FolderStorage(uri=uri, root=Path(uri).absolute())
    if scheme == "file" and rest.startswith("/"):
        return FolderStorage(uri=uri, root=Path(unquote(rest)))
    if scheme == "s3" and _BUCKET.fullmatch(rest.partition("/")[0]):
        from pricon.stores.s3 import open_s3  # here, as folders must not pay for boto3

        return open_s3(uri, spec)
    raise CorpusError(
        f"cannot tell where `{uri}` is\n"
        "  expected a folder, `file:///folder` or `s3://bucket/prefix`",
        "mend the URI; other object stores are reached through their S3 endpoint, key "
        "`storage.endpoint_url`",
    )
