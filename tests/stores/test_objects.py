import pytest

from pricon.errors import CorpusError
from pricon.stores.objects import checked, missing, whole


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", ""])
def test_paths_stay_inside(path: str) -> None:
    with pytest.raises(CorpusError, match="no path inside a storage"):
        checked(path)


@pytest.mark.parametrize("path", ["a", "a/b.parquet", "a..b/c", ".hidden"])
def test_other_paths_are_taken(path: str) -> None:
    assert checked(path) == path


def test_words() -> None:
    assert whole(b"12", 2, "x") == b"12"
    with pytest.raises(CorpusError, match="cut short: s3://b/x"):
        whole(b"1", 2, "s3://b/x")
    assert missing("s3://b/x").message == "not found: s3://b/x"
