"""What all kinds of storage refuse, and in which words."""

from pathlib import PurePosixPath

from pricon.errors import CorpusError


def checked(path: str) -> str:
    """`path`, if it stays below its storage; a manifest from elsewhere may say anything.

    Raises:
        CorpusError: absolute, empty, or with `..` in it.
    """
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise CorpusError(
            f"`{path}` is no path inside a storage\n  expected one such as `shards/a-0.parquet`"
        )
    return path


def missing(where: str) -> CorpusError:
    """The error for an object that is not there."""
    return CorpusError(f"not found: {where}", "check the URI; is this the right corpus or run?")


def whole(data: bytes, num_bytes: int, where: str) -> bytes:
    """`data`, if it has the size that was asked for.

    Raises:
        CorpusError: the object ends before.
    """
    if len(data) != num_bytes:
        raise cut_short(where)
    return data


def cut_short(where: str) -> CorpusError:
    """The error for an object that ends before the bytes that were asked for."""
    return CorpusError(
        f"cut short: {where}\n  it ends before the bytes that were asked for",
        "copy the object again from where it came",
    )
