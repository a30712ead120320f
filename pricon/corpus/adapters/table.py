"""Reads delimited text in blocks, every cell as text. Owns what is said when a file is cut.

Cells are read as text because columns of real recordings mix types; `numbers` converts them.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
from numpy.typing import NDArray

from pricon.errors import CorpusError

_MISSING = ["", " ", "?", "nan", "NaN", "NA", "null", "None"]
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A delimited text file, opened but not read.

    Args:
        path: the file.
        columns: names as spelled in the file, blanks and repetitions included.
        delimiter: one character between two cells.
        quote: one character around cells that hold a delimiter.
        first_line: line number of the first row, counted from 1.
        span: the bytes whose rows are read (first, and one after the last); None for all rows.
    """

    path: Path
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'
    first_line: int = 2
    span: tuple[int, int] | None = None

    def blocks(self, wanted: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in file order, a few MiB at a time; cells are text or null.

        Args:
            wanted: indices of the columns to give, in this order; all where None.

        Raises:
            CorpusError: a row has too many or too few cells, or the text is not UTF-8.
        """
        names = [str(index) for index in range(len(self.columns))]
        chosen = names if wanted is None else [names[index] for index in wanted]
        bad_rows: list[Any] = []

        def refuse(row: Any) -> str:
            bad_rows.append(row)
            return "error"

        _refuse_unfinished(self.path)
        if self.span is not None and self.span[0] == self.span[1]:
            return
        try:
            yield from pv.open_csv(
                self._rows(),
                read_options=pv.ReadOptions(
                    use_threads=False,
                    block_size=_BLOCK_BYTES,
                    skip_rows=0 if self.span else self.first_line - 1,
                    column_names=names,
                ),
                parse_options=pv.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char=self.quote,
                    invalid_row_handler=refuse,
                ),
                convert_options=pv.ConvertOptions(
                    include_columns=chosen,
                    column_types=dict.fromkeys(chosen, pa.string()),
                    null_values=_MISSING,
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as err:
            raise self._malformed(err, bad_rows) from err

    def read(self, wanted: Sequence[int] | None = None) -> pa.Table:
        """All rows at once, for files that are small; arguments and errors as `blocks`.

        Raises:
            CorpusError: there are no rows.
        """
        blocks = list(self.blocks(wanted))
        if sum(block.num_rows for block in blocks) == 0:
            raise CorpusError(f"{self.path}: no rows, expected some from line {self.first_line}")
        return pa.Table.from_batches(blocks)

    def where(self, row: int) -> str:
        """File and line of a row, counted from 0, for messages; blank lines do not count."""
        if self.span is None:
            return f"{self.path}:{self.first_line + row}"
        with self.path.open("rb") as file:
            left, lines = self.span[0], 0
            while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
                lines += block.count(b"\n")
        return f"{self.path}:{lines + 1 + row}"

    def index_of(self, column: str) -> int:
        """Where a column stands; blanks around its name do not count.

        Raises:
            CorpusError: there is no such column; names the nearest one.
        """
        names = [name.strip() for name in self.columns]
        if column not in names:
            close = get_close_matches(column, names, n=1)
            nearest = f"; nearest is `{close[0]}`" if close else ""
            raise CorpusError(
                f"{self.path}:{self.first_line - 1}: no column `{column}` among "
                f"{len(names)} columns{nearest}",
                "check that `adapter` and `source` name the same corpus",
            )
        return names.index(column)

    def _rows(self) -> Any:
        """What the reader of rows opens."""
        if self.span is None:
            return self.path
        start, stop = self.span
        return pa.OSFile(str(self.path)).get_stream(start, stop - start)

    def _malformed(self, err: Exception, bad_rows: Sequence[Any]) -> CorpusError:
        hint = "the file is damaged or was cut while it was copied; fetch it again"
        if not bad_rows:
            return CorpusError(f"{self.path}: cannot be read as text with columns: {err}", hint)
        row = bad_rows[0]
        skipped = 1 if self.span else self.first_line
        where = str(self.path) if row.number is None else self.where(row.number - skipped)
        return CorpusError(
            f"{where}: {row.actual_columns} cells, expected {row.expected_columns}", hint
        )


def open_table(path: Path, delimiter: str = ",") -> Table:
    """A table whose first line holds the names of its columns.

    Raises:
        CorpusError: the file is missing, empty or not text.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline()
    except (OSError, UnicodeDecodeError) as err:
        raise CorpusError(f"{path}: cannot be read: {err}") from err
    if not line.strip():
        raise CorpusError(f"{path}:1: no header, expected the names of the columns")
    names = next(csv.reader([line], delimiter=delimiter))
    return Table(path=path, columns=tuple(names), delimiter=delimiter)


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks around them; the second of the same name gets `_2`, and so on.

    >>> unique_names(["speed", "turn ", "turn"])
    ('speed', 'turn', 'turn_2')
    """
    seen: dict[str, int] = {}
    unique = []
    for name in (name.strip() for name in names):
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(unique)


def numbers(column: Any) -> NDArray[np.float64]:
    """Cells as numbers: truth values are 0 and 1, everything else that is no finite number NaN.

    Args:
        column: text, an Arrow array or chunked array.
    """
    try:
        values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        texts = column.to_pylist()
        known = {text: _number(text) for text in set(texts)}
        values = np.array([known[text] for text in texts], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def matrix(rows: pa.Table | pa.RecordBatch) -> NDArray[np.float64]:
    """All cells as numbers, shape (rows, columns)."""
    columns = [numbers(column) for column in rows.columns]
    return np.stack(columns, axis=1) if columns else np.empty((rows.num_rows, 0))


def _number(text: str | None) -> float:
    if text is None:
        return float("nan")
    word = text.strip().lower()
    if word in ("true", "false"):
        return float(word == "true")
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _refuse_unfinished(path: Path) -> None:
    """Refuse a file that was cut inside its last line: a cut number still looks like a number."""
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            raise CorpusError(f"{path}: empty, expected a table")
        file.seek(-1, 2)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
    raise CorpusError(
        f"{path}:{lines + 1}: the file ends inside a line, expected a line break at its end",
        "the file was cut while it was copied; fetch it again",
    )
