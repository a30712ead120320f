import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pricon.errors import CorpusError, StorageError
from pricon.spec.resources import StorageSpec
from pricon.storage import Storage, open_storage
from pricon.stores.folder import FolderStorage
from tests.seaweed import BUCKET


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


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_works_in_other_processes(storage: Storage, method: str) -> None:
    storage.write("a", b"x")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(storage.read, ("a",)) == b"x"
        pool.close()
        pool.join()


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3://", "file://relative"])
def test_refuses_other_uris(uri: str) -> None:
    with pytest.raises(CorpusError, match="cannot tell where"):
        open_storage(uri)


def test_file_uri_and_trailing_slash(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/a%20b/")
    storage.write("c", b"x")
    assert (tmp_path / "a b" / "c").read_bytes() == b"x"
    assert storage.uri == f"file://{tmp_path}/a%20b"


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permission_denied_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="permission denied"):
            open_storage(str(tmp_path / "x")).write("a", b"x")
    finally:
        tmp_path.chmod(0o700)


def test_folders_do_not_load_boto3() -> None:
    code = (
        "import sys; from pricon.storage import open_storage; open_storage('x');"
        "sys.exit(bool({'boto3', 's3fs', 'botocore'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "list", "write", "create", "upload"])
def test_missing_bucket(s3: StorageSpec, call: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no bucket `absent`: s3://absent/x/a") as caught:
        _call(open_storage("s3://absent/x", s3), call, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "list", "write", "create", "upload"])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    s3: StorageSpec, monkeypatch: pytest.MonkeyPatch, call: str, name: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(CorpusError, match=r"refused these credentials: s3://.*/x/a") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", s3), call, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "write"])
def test_no_credentials(
    s3: StorageSpec, monkeypatch: pytest.MonkeyPatch, call: str, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    with pytest.raises(CorpusError, match="no credentials for") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", s3), call, tmp_path)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


@pytest.mark.s3
@pytest.mark.parametrize("call", ["read", "exists", "upload"])
def test_unreachable_endpoint(s3: StorageSpec, call: str, tmp_path: Path) -> None:
    assert s3.endpoint_url is not None
    nowhere = StorageSpec(endpoint_url="http://127.0.0.1:9", region="us-east-1")
    with pytest.raises(StorageError, match=r"http://127.0.0.1:9 failed: s3://") as caught:
        _call(open_storage(f"s3://{BUCKET}/x", nowhere), call, tmp_path)
    assert caught.value.exit_code == 3


def _call(storage: Storage, call: str, folder: Path) -> None:
    match call:
        case "read":
            storage.read("a")
        case "exists":
            storage.exists("a")
        case "list":
            storage.list("a")
        case "write":
            storage.write("a", b"x")
        case "create":
            storage.create("a", b"x")
        case "upload":
            (folder / "file").write_bytes(b"x")
            storage.upload("a", folder / "file")
