"""An archive is whole or not there."""

import errno
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from pricon.errors import SpecError
from pricon.launch.kubernetes.archive import check_free, new_archive


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


@pytest.mark.parametrize("has_links", [True, False])
def test_what_appears_meanwhile_is_not_overwritten(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", without_links)
    target = tmp_path / "a.tar.gz"

    def lose() -> None:
        with new_archive(target, "run"):
            target.write_text("mine")

    with pytest.raises(SpecError, match="is there already, and is not overwritten"):
        lose()
    assert target.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [target]


def without_links(source: str, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", without_links)
    target = tmp_path / "a.tar.gz"
    with new_archive(target, "run") as archive:
        archive.add("one", b"1")
    assert content(target) == {"run/one": b"1"}
    assert [*tmp_path.iterdir()] == [target]
    assert target.stat().st_mode & 0o077 == 0, "for its owner alone"


def test_a_rename_that_fails_holds_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", without_links)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"), new_archive(tmp_path / "a.tar.gz", "run"):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_goes_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "going"
    folder.mkdir()
    with (
        pytest.raises(SpecError, match=r"cannot write .*: No such file"),
        new_archive(folder / "a.tar.gz", "run"),
    ):
        shutil.rmtree(folder)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link"):
        with pytest.raises(SpecError, match="is a folder\n  expected the name of a fi") as caught:
            check_free(folder)
        assert caught.value.hint == f"name one in it: `--into {folder}/bundle.tar.gz`"


@pytest.mark.parametrize(
    ("name", "why"),
    [("a" * 300, "File name too long"), ("a\0b", "embedded null byte")],
)
def test_what_no_file_can_be_called(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"cannot write .*: .*{why}"):
        check_free(tmp_path / name)


def test_a_name_as_long_as_they_may_be(tmp_path: Path) -> None:
    target = tmp_path / ("a" * 255)
    with new_archive(target, "run") as archive:
        archive.add("one", b"1")
    assert [*tmp_path.iterdir()] == [target]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot write .*: No such file or directory") as caught:
        new_archive(tmp_path / "none" / "a.tar.gz", "run").__enter__()
    assert caught.value.hint == "name another file with `--into`"
