"""A storage that notes which bytes were fetched."""

# `list` is a method of a storage, so annotations below it must not mean that.
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pricon.storage import Storage


@dataclass(frozen=True, kw_only=True)
class RecordingStorage:
    """Passes everything on; `ranges` and `whole` say what was read, `sought` what was sought."""

    inner: Storage
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    sought: list[str] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return self.inner.uri

    def read(self, path: str) -> bytes:
        self.whole.append(path)
        return self.inner.read(path)

    def read_range(self, path: str, start: int, num_bytes: int) -> bytes:
        self.ranges.append((path, start, start + num_bytes))
        return self.inner.read_range(path, start, num_bytes)

    def write(self, path: str, data: bytes) -> None:
        self.inner.write(path, data)

    def create(self, path: str, data: bytes) -> bool:
        return self.inner.create(path, data)

    def upload(self, path: str, file: Path) -> None:
        self.inner.upload(path, file)

    def list(self, prefix: str = "") -> list[str]:
        return self.inner.list(prefix)

    def exists(self, path: str) -> bool:
        self.sought.append(path)
        return self.inner.exists(path)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def check_writable(self) -> None:
        self.inner.check_writable()

    def child(self, path: str) -> Storage:
        return self.inner.child(path)
