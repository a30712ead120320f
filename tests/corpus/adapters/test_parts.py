"""Parts of a table: all rows, in order, no key in two of them, whatever the size of a part."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricon.corpus.adapters.parts import cut_at_keys
from pricon.corpus.adapters.table import open_table


def write(folder: Path, runs: list[int], ending: str = "\n") -> Path:
    """Sessions of so many rows each; a cell holds a quoted comma."""
    path = folder / "table.csv"
    rows = [f'P{n},"a,{i}",{i}' for n, count in enumerate(runs) for i in range(count)]
    path.write_bytes(ending.join(["who,text,value", *rows, ""]).encode())
    return path


def rows_of(path: Path, spans: list[tuple[int, int]]) -> list[list[str]]:
    data = path.read_bytes()
    return [data[start:stop].decode().splitlines() for start, stop in spans]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 200))
def test_parts_are_all_rows_and_split_no_key(
    tmp_path_factory: pytest.TempPathFactory, runs: list[int], part_bytes: int
) -> None:
    path = write(tmp_path_factory.mktemp("parts"), runs)
    spans = cut_at_keys(open_table(path), [0], part_bytes)
    parts = rows_of(path, spans)
    assert [row for part in parts for row in part] == path.read_text().splitlines()[1:]
    people = [{row.split(",")[0] for row in part} for part in parts]
    assert sum(map(len, people)) == len(set.union(*people))
    assert all(stop - start >= part_bytes for start, stop in spans[:-1])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_either_line_ending(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, [2, 2, 2], ending)
    spans = cut_at_keys(open_table(path), [0], 1)
    assert [[row[:2] for row in part] for part in rows_of(path, spans)] == [
        ["P0", "P0"],
        ["P1", "P1"],
        ["P2", "P2"],
    ]


def test_one_key_is_one_part(tmp_path: Path) -> None:
    path = write(tmp_path, [50])
    assert len(cut_at_keys(open_table(path), [0], 10)) == 1


def test_a_table_without_rows_is_one_empty_part(tmp_path: Path) -> None:
    path = write(tmp_path, [])
    ((start, stop),) = cut_at_keys(open_table(path), [0], 10)
    assert start == stop == path.stat().st_size


def test_rows_that_cannot_be_told_apart_are_no_place_to_cut(tmp_path: Path) -> None:
    """Half a row, as after a quoted line break, says nothing about a key."""
    path = write(tmp_path, [1, 1, 1])
    path.write_text(path.read_text().replace("P1,", ""), encoding="utf-8")
    parts = rows_of(path, cut_at_keys(open_table(path), [0], 1))
    assert [len(part) for part in parts] == [3]


def test_blank_lines_and_blanks_round_a_key_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, [2, 2])
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("P0,", "P0 ,")
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    parts = rows_of(path, cut_at_keys(open_table(path), [0], 1))
    assert [[row[:2] for row in part if row] for part in parts] == [["P0", "P0"], ["P1", "P1"]]


@pytest.mark.parametrize("cell", ["x" * 140_000, "a\rb"])
def test_rows_that_only_the_reader_of_rows_understands(cell: str, tmp_path: Path) -> None:
    path = write(tmp_path, [3, 3, 3])
    path.write_bytes(path.read_bytes().replace(b'"a,1"', cell.encode()))
    spans = cut_at_keys(open_table(path), [0], 1)
    assert spans[-1][1] == path.stat().st_size
    assert [stop for _, stop in spans[:-1]] == [start for start, _ in spans[1:]]
