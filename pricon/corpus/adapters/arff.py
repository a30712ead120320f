"""Opens ARFF files, the text tables of Weka, as far as feature files use the format."""

import re
from pathlib import Path

from pricon.corpus.adapters.table import Table
from pricon.errors import CorpusError

_ATTRIBUTE = re.compile(r"@attribute\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))\s+\S", re.IGNORECASE)


def open_arff(path: Path) -> Table:
    """A table whose columns are the attributes of an ARFF file.

    Types of attributes are not looked at: what a column is for follows from its name. Rows must
    be dense, one a line, with commas between the cells.

    Raises:
        CorpusError: the file is missing, has no `@data` section, a line above it that is neither
            empty, a comment nor a declaration, or sparse rows.
    """
    columns: list[str] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.strip()
                if line.lower() == "@data":
                    return _with_rows(path, columns, number + 1, file.readline())
                _declare(columns, line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as err:
        raise CorpusError(f"{path}: cannot be read: {err}") from err
    raise CorpusError(
        f"{path}: no `@data` section, expected the rows after it",
        "the file was cut while it was copied; fetch it again",
    )


def _declare(columns: list[str], line: str, where: str) -> None:
    """Take in one line of the header."""
    if not line or line.startswith("%") or line.lower().startswith("@relation"):
        return
    match = _ATTRIBUTE.match(line)
    if match is None:
        raise CorpusError(f"{where}: `{line[:60]}`, expected `@attribute name type` or `@data`")
    columns.append(next(name for name in match.groups() if name is not None))


def _with_rows(path: Path, columns: list[str], first_line: int, row: str) -> Table:
    if not columns:
        raise CorpusError(f"{path}:{first_line - 1}: `@data` without any `@attribute` before it")
    if row.lstrip().startswith("{"):
        raise CorpusError(f"{path}:{first_line}: a sparse row, expected dense rows")
    return Table(path=path, columns=tuple(columns), quote="'", first_line=first_line)
