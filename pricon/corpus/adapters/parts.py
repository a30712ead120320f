"""Cuts a table into parts at changes of a key, so that processes can read one file together."""

import csv
import os
from collections.abc import Sequence
from typing import BinaryIO

from pricon.corpus.adapters.table import Table


def cut_at_keys(table: Table, key: Sequence[int], part_bytes: int) -> list[tuple[int, int]]:
    """Parts of at least `part_bytes` that together are all rows, none of which splits a key.

    Reads a few rows at each cut, not the table.

    Args:
        table: rows of one key stand one after another in it.
        key: indices of the columns that make up the key.
        part_bytes: least size of a part; the last one may be smaller.

    Returns:
        First byte of each part, and the byte after its last.
    """
    with table.path.open("rb") as file:
        for _ in range(table.first_line - 1):
            file.readline()
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        cuts = [start]
        while cuts[-1] + part_bytes < end:
            cut = _next_change(file, table, key, cuts[-1] + part_bytes)
            if cut == end:
                break
            cuts.append(cut)
    return [*zip(cuts, [*cuts[1:], end], strict=True)]


def _next_change(file: BinaryIO, table: Table, key: Sequence[int], position: int) -> int:
    """Where the first row after `position` starts whose key is not that of the row before it."""
    file.seek(position)
    file.readline()  # the rest of a row
    before = None
    while True:
        start = file.tell()
        line = file.readline()
        if not line:
            return start
        if not line.strip():
            continue
        now = _key(line, table, key)
        if before is not None and now is not None and now != before:
            return start
        before = now


def _key(line: bytes, table: Table, key: Sequence[int]) -> list[str] | None:
    """The key of a row; None where the line is no row, such as the second half of one."""
    text = line.decode("utf-8", errors="replace")
    try:
        cells = next(csv.reader([text], delimiter=table.delimiter, quotechar=table.quote))
    except csv.Error:  # the reader of rows is less strict
        return None
    return [cells[index].strip() for index in key] if len(cells) == len(table.columns) else None
