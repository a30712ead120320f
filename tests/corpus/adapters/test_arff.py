"""ARFF headers as feature files have them."""

from pathlib import Path

import pyarrow as pa
import pytest

from pricon.corpus.adapters.arff import open_arff
from pricon.corpus.adapters.table import matrix
from pricon.errors import CorpusError

GOOD = """% a comment
@RELATION 'features of one person'

@attribute name string
@attribute 'F0 mean' numeric
@ATTRIBUTE\tclass\t{high, low}
@attribute frameTime real

@data
'train 1, again',1.5,high,0
'train_1',?,low,0.04
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "train_1.arff"
    path.write_text(text)
    return path


def test_names_and_rows(tmp_path: Path) -> None:
    table = open_arff(write(tmp_path, GOOD))
    assert table.columns == ("name", "F0 mean", "class", "frameTime")
    assert table.first_line == 10
    rows = pa.Table.from_batches(list(table.blocks()))
    assert rows.column(0).to_pylist() == ["train 1, again", "train_1"]
    assert matrix(rows.select([1, 3])).tolist()[0] == [1.5, 0]
    assert rows.column(1).to_pylist() == ["1.5", None]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("@data\n", "", r"arff:9: `'train 1, again',1.5,high,0`, expected `@attribute name type`"),
        ("@attribute name string", "@attribute name", r"arff:4: `@attribute name`, expected"),
        ("'train_1',?,", "'train_1',", r"arff:11: 3 cells, expected 4"),
        ("low,0.04\n", "low,0.0", r"arff:11: the file ends inside a line"),
        ("'train 1, again',1.5,high,0", "{1 1.5}", r"arff:10: a sparse row"),
    ],
)
def test_malformed(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(CorpusError, match=problem):
        list(open_arff(path).blocks())


def test_cut_in_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD[: GOOD.index("@attribute frameTime")])
    with pytest.raises(CorpusError, match=r"train_1\.arff: no `@data` section"):
        open_arff(path)


def test_data_without_attributes(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"arff:2: `@data` without any `@attribute`"):
        open_arff(write(tmp_path, "@relation x\n@data\n1\n"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.arff: cannot be read"):
        open_arff(tmp_path / "none.arff")
