import os
from pathlib import Path

import pytest

from pricon.errors import CorpusError, StorageError
from pricon.storage import open_storage
from pricon.stores.folder import FolderStorage
from tests.nobody import as_nobody


def test_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage("corpus")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.write("a", b"x")
    assert storage.uri == "corpus"
    assert (tmp_path / "corpus" / "a").exists()


def test_folder_disappears_with_its_last_object(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "a"))
    storage.write("b/c/d", b"x")
    storage.delete("b/c/d")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_named() -> None:
    storage = FolderStorage(uri="/dev", root=Path("/dev"))
    with pytest.raises(StorageError, match="the disk is full: /dev/full") as caught:
        _fill(storage)
    assert caught.value.exit_code == 3


def _fill(storage: FolderStorage) -> None:
    """A device that is always full stands for the file that a write makes."""
    with storage._translated("full"), Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    storage.write("a", b"old")
    with pytest.raises(CorpusError, match="not found"):
        storage.upload("a", tmp_path / "absent")
    (tmp_path / "storage" / "folder").mkdir()
    with pytest.raises(CorpusError, match="not found"):
        storage.write("folder", b"x")
    assert storage.list() == ["a"]
    assert storage.read("a") == b"old"
    assert sorted(os.listdir(tmp_path / "storage")) == ["a", "folder"]


@pytest.mark.parametrize("place", ["", "/pricon-of-nobody"])
def test_permission_denied_is_named(place: str, tmp_path: Path) -> None:
    """Below a folder that may not be entered, and one that may not be written into."""
    tmp_path.chmod(0o500)
    storage = open_storage(place or str(tmp_path / "x"))
    try:
        for act in (lambda: storage.write("a", b"x"), storage.check_writable):
            error = as_nobody(act)
            assert error.startswith("StorageError: permission denied: "), error
            assert "hint: change the permissions, or choose another folder" in error
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_way_is_named_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="part of this path is a file, not a folder"):
        open_storage(str(tmp_path / "file" / "x" / "y")).check_writable()
