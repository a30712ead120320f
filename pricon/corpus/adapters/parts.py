"""Cuts a table into parts at changes of a key, so that processes can read one file together."""

import csv
import os
from collections.abc import Sequence
from typing import BinaryIO

from pricon.corpus.adapters.table import Table

Span = tuple[int, int]
"""First byte and the byte after the last one."""


def cut_at_keys(table: Table, key: Sequence[int], part_bytes: int) -> list[Span]:
    """Parts of at least `part_bytes` that together are all rows, none of which splits a key.

    Reads a few rows at each cut, not the table.

    Args:
        table: rows of one key stand one after another in it.
        key: indices of the columns that make up the key.
        part_bytes: least size of a part; the last one may be smaller.
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
        text = line.decode("utf-8", errors="replace")
        cells = next(csv.reader([text], delimiter=table.delimiter, quotechar=table.quote), [])
        now = [cells[index] for index in key] if len(cells) == len(table.columns) else None
        if before is not None and now is not None and now != before:
            return start
        before = now
