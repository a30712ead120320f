"""Delimited text: cells become numbers, damages name file and line."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pricon.corpus.adapters.table import matrix, numbers, open_table, unique_names
from pricon.errors import CorpusError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("chunked", [False, True])
def test_numbers(chunked: bool) -> None:
    cells = ["1", "-2.5e-3", "True", "false", None, "inf", "nan", " 4 ", "word", ""]
    column = pa.array(cells, pa.string())
    found = numbers(pa.chunked_array([column[:3], column[3:]]) if chunked else column)
    nan = np.nan
    np.testing.assert_array_equal(found, [1, -0.0025, 1, 0, nan, nan, nan, 4, nan, nan])


def test_unique_names() -> None:
    assert unique_names(["a ", "b", " a", "a"]) == ("a", "b", "a_2", "a_3")


def test_header_as_spelled(tmp_path: Path) -> None:
    table = open_table(write(tmp_path, '\ufeff"a, b",c ,c\r\n1,2,3\r\n'))
    assert table.columns == ("a, b", "c ", "c")
    assert table.index_of("c") == 1
    assert matrix(table.read()).tolist() == [[1, 2, 3]]


def test_wanted_columns_in_the_order_asked(tmp_path: Path) -> None:
    table = open_table(write(tmp_path, "a;b;c\n1;2;3\n4;?;6\n"), ";")
    np.testing.assert_array_equal(matrix(table.read([2, 1])), [[3, 2], [6, np.nan]])


def test_missing_column(tmp_path: Path) -> None:
    table = open_table(write(tmp_path, "arousal,speed\n1,2\n"))
    with pytest.raises(
        CorpusError, match=r"table\.csv:1: no column `arousals` among 2 columns; ne"
    ):
        table.index_of("arousals")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n3\n", r"table\.csv:3: 1 cells, expected 2"),
        ("a,b\n1,2,3\n", r"table\.csv:2: 3 cells, expected 2"),
        ("a,b\n1,2\n3,4", r"table\.csv:3: the file ends inside a line"),
        ("a,b\n", r"table\.csv: no rows, expected some from line 2"),
        (b"a,b\n\xff,1\n", r"table\.csv: cannot be read"),
        (b"\xff,b\n1,1\n", r"table\.csv: cannot be read"),
        ("", r"table\.csv:1: no header"),
    ],
)
def test_damaged(tmp_path: Path, text: str | bytes, problem: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CorpusError, match=problem):
        open_table(path).read()


def test_line_of_a_damage_in_a_later_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricon.corpus.adapters.table._BLOCK_BYTES", 1000)
    lines = ["a,b", *["1,2"] * 5000, "1", *["1,2"] * 5000]
    table = open_table(write(tmp_path, "\n".join(lines) + "\n"))
    with pytest.raises(CorpusError, match=r"table\.csv:5002: 1 cells, expected 2"):
        list(table.blocks())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.csv: cannot be read"):
        open_table(tmp_path / "none.csv")
