import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pricon.errors import CorpusError
from pricon.storage import Storage, open_storage


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.bin", b"first")
    storage.write("a/b.bin", b"second")
    assert storage.read("a/b.bin") == b"second"
    assert storage.read_range("a/b.bin", 1, 3) == b"eco"
    assert storage.exists("a/b.bin")
    assert not storage.exists("a")


def test_empty_objects(storage: Storage) -> None:
    storage.write("empty", b"")
    assert storage.read("empty") == b""
    assert storage.read_range("empty", 0, 0) == b""


def test_lists_by_prefix_sorted(storage: Storage) -> None:
    for path in ("b", "a/2", "a/1", "a-0/1", "a/sub/3"):
        storage.write(path, b"x")
    assert storage.list() == ["a-0/1", "a/1", "a/2", "a/sub/3", "b"]
    assert storage.list("a/") == ["a/1", "a/2", "a/sub/3"]
    assert storage.list("a/s") == ["a/sub/3"]
    assert storage.list("nothing/") == []


def test_child_sees_its_own_paths(storage: Storage) -> None:
    child = storage.child("x/y")
    child.write("z", b"1")
    assert storage.read("x/y/z") == b"1"
    assert child.list() == ["z"]
    assert child.uri == f"{storage.uri}/x/y"


def test_deletes_what_may_be_absent(storage: Storage) -> None:
    storage.write("a/b", b"x")
    storage.delete("a/b")
    storage.delete("a/b")
    assert storage.list() == []


def test_asking_whether_something_could_be_written_leaves_nothing(storage: Storage) -> None:
    storage.child("runs/x").check_writable()
    assert storage.list() == []
    storage.write("runs/x/a", b"kept")
    storage.child("runs/x").check_writable()
    assert storage.list() == ["runs/x/a"]


def test_create_does_not_overwrite(storage: Storage) -> None:
    assert storage.create("once", b"first")
    assert not storage.create("once", b"second")
    assert storage.read("once") == b"first"


def test_one_of_many_creates(storage: Storage) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: storage.create("race", b"%d" % number), range(16)))
    assert sum(won) == 1
    assert storage.read("race") == b"%d" % won.index(True)


def test_uploads_in_parts(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(os.urandom(1 << 20) * 37)
    storage.upload("large", file)
    assert storage.read("large") == file.read_bytes()
    assert storage.read_range("large", 20 << 20, 5) == file.read_bytes()[20 << 20 :][:5]


def test_names_what_is_missing(storage: Storage) -> None:
    with pytest.raises(CorpusError, match=f"not found: {storage.uri}/gone") as caught:
        storage.read("gone")
    assert caught.value.exit_code == 2
    with pytest.raises(CorpusError, match="not found"):
        storage.read_range("gone", 0, 1)


@pytest.mark.parametrize("start", [0, 100])
def test_names_what_is_cut_short(storage: Storage, start: int) -> None:
    storage.write("short", b"12345")
    with pytest.raises(CorpusError, match=r"cut short: .*/short"):
        storage.read_range("short", start, 6)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", ""])
def test_paths_stay_inside(storage: Storage, path: str) -> None:
    with pytest.raises(CorpusError, match="no path inside a storage"):
        storage.write(path, b"x")


def test_survives_pickling(storage: Storage) -> None:
    storage.write("a", b"x")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"x"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_works_in_other_processes(storage: Storage, method: str) -> None:
    storage.write("a", b"x")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(storage.read, ("a",)) == b"x"
        pool.close()
        pool.join()


@pytest.mark.parametrize(
    "uri", ["gs://bucket/x", "s3://", "file://relative", "s3:/bucket/x", "s3://bad bucket!/x"]
)
def test_refuses_other_uris(uri: str) -> None:
    with pytest.raises(CorpusError, match="cannot tell where"):
        open_storage(uri)


def test_file_uri_and_trailing_slash(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/a%20b/")
    storage.write("c", b"x")
    assert (tmp_path / "a b" / "c").read_bytes() == b"x"
    assert storage.uri == f"file://{tmp_path}/a%20b"


def test_folders_do_not_load_boto3() -> None:
    code = (
        "import sys; from pricon.storage import open_storage; open_storage('x');"
        "sys.exit(bool({'boto3', 'botocore'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
