"""An archive is whole or not there."""

import tarfile
from pathlib import Path

import pytest

from pricon.errors import SpecError
from pricon.launch.kubernetes.archive import new_archive


def content(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = {entry.name: tar.extractfile(entry) for entry in tar}
        return {name: data.read() for name, data in found.items() if data is not None}


def test_files_from_memory_and_from_disk(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    with new_archive(target, "run") as archive:
        archive.add("one.json", b"{}\n")
        with archive.open() as file:
            file.write(b"1\n22\n333\n")
            assert archive.add_end("whole.log", file, 9) is False
            assert archive.add_end("end.log", file, 6) is True
        assert not target.exists(), "not before it is whole"
    assert archive.names == ["one.json", "whole.log", "end.log"]
    assert content(target) == {
        "run/one.json": b"{}\n", "run/whole.log": b"1\n22\n333\n", "run/end.log": b"333\n",
    }  # fmt: skip
    assert [*tmp_path.iterdir()] == [target]
    assert target.stat().st_mode & 0o077 == 0, "for its owner alone"


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    def fail() -> None:
        with new_archive(tmp_path / "a.tar.gz", "run") as archive:
            archive.add("one", bytes(1_000_000))
            raise error

    with pytest.raises(type(error)):
        fail()
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    target.write_text("mine")
    with pytest.raises(SpecError, match=r"a\.tar\.gz is there already, and is not over") as caught:
        new_archive(target, "run").__enter__()
    assert caught.value.hint == "name another file with `--into`, or move that one away"
    assert target.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot write .*: No such file or directory") as caught:
        new_archive(tmp_path / "none" / "a.tar.gz", "run").__enter__()
    assert caught.value.hint == "name another file with `--into`"
