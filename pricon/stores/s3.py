"""Objects in S3, through boto3. Owns the words of the store's errors.

Every call ends: connects within `_CONNECT_S`, waits `_READ_S` for bytes, and tries a few times. Not
found and forbidden are not retried.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions as foreign
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from pricon.errors import CorpusError, StorageError
from pricon.spec.resources import StorageSpec
from pricon.stores.objects import checked, cut_short, missing, whole

_CONNECT_S = 5
_READ_S = 20
_ATTEMPTS = 4
_CONNECTIONS = 16
_PART_BYTES = 16 << 20
_PROBE = ".writable"
"""Name of an object that is there for a moment, to see whether it can be."""
_FORBIDDEN = {
    "403",
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_MISSING = {"404", "NoSuchKey", "NotFound"}
_ELSEWHERE = {"301", "AuthorizationHeaderMalformed", "PermanentRedirect"}
_NO_CREDENTIALS = (
    foreign.CredentialRetrievalError,
    foreign.NoCredentialsError,
    foreign.PartialCredentialsError,
    foreign.ProfileNotFound,
    foreign.TokenRetrievalError,
)
_BROKEN = (
    foreign.IncompleteReadError,
    foreign.ReadTimeoutError,
    foreign.ResponseStreamingError,
)
"""What botocore leaves to its caller: an answer that began and did not end."""

_CREDENTIALS_HINT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def open_s3(uri: str, spec: StorageSpec) -> "S3Storage":
    """Storage at `s3://bucket/prefix`. Nothing is touched yet."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Storage(uri=uri, bucket=bucket, prefix=prefix, connection=_Connection(spec))


class _Connection:
    """The client of this process; another process that inherits or unpickles this opens its own."""

    def __init__(self, spec: StorageSpec) -> None:
        self.spec = spec
        self._process: int | None = None
        self._client: Any = None

    def __reduce__(self) -> tuple[type["_Connection"], tuple[StorageSpec]]:
        return _Connection, (self.spec,)

    @property
    def client(self) -> Any:
        """The boto3 client, which threads may share."""
        if self._process != os.getpid():
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=self.spec.endpoint_url,
                region_name=self.spec.region,
                config=Config(**self._config()),
            )
            self._process = os.getpid()
        return self._client

    def _config(self) -> dict[str, Any]:
        style = "auto" if self.spec.endpoint_url is None else "path"
        return {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "max_pool_connections": _CONNECTIONS,
            "response_checksum_validation": "when_required",  # the manifest has a better one
            "retries": {"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            "s3": {"addressing_style": style},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Storage:
    """Objects below `prefix` in a bucket."""

    uri: str
    bucket: str
    prefix: str
    connection: _Connection

    def read(self, path: str) -> bytes:
        """See Storage."""
        return self._fetch(path)

    def read_range(self, path: str, start: int, num_bytes: int) -> bytes:
        """See Storage."""
        if num_bytes == 0:
            return b""
        data = self._fetch(path, Range=f"bytes={start}-{start + num_bytes - 1}")
        return whole(data, num_bytes, f"{self.uri}/{path}")

    def write(self, path: str, data: bytes) -> None:
        """See Storage."""
        with self._translated(path):
            self.connection.client.put_object(Body=data, **self._object(path))

    def create(self, path: str, data: bytes) -> bool:
        """See Storage. The store decides, by `If-None-Match: *`."""
        with self._translated(path):
            for _ in range(_ATTEMPTS):
                try:
                    self.connection.client.put_object(
                        Body=data, IfNoneMatch="*", **self._object(path)
                    )
                except foreign.ClientError as err:
                    code = err.response["Error"].get("Code")
                    if code in {"PreconditionFailed", "412"}:
                        return False
                    if code != "ConditionalRequestConflict":
                        raise
                else:
                    return True
        raise StorageError(f"others keep writing to {self.uri}/{path}", "try again")

    def upload(self, path: str, file: Path) -> None:
        """See Storage. In parts where the file is large; parts of a failed upload are removed."""
        parts = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4
        )
        name = self._object(path)
        with self._translated(path):
            self.connection.client.upload_file(str(file), name["Bucket"], name["Key"], Config=parts)

    def list(self, prefix: str = "") -> list[str]:
        """See Storage."""
        return sorted(self._listed(prefix))

    def exists(self, path: str) -> bool:
        """See Storage. By listing, as only that tells a missing bucket from a missing object."""
        return any(name == path for name in self._listed(checked(path)))

    def delete(self, path: str) -> None:
        """See Storage."""
        with self._translated(path):
            self.connection.client.delete_object(**self._object(path))

    def check_writable(self) -> None:
        """See Storage. Writes an object and removes it: no other answer can be relied on."""
        self.write(_PROBE, b"")
        self.delete(_PROBE)

    def child(self, path: str) -> "S3Storage":
        """See Storage."""
        return S3Storage(
            uri=f"{self.uri}/{path}",
            bucket=self.bucket,
            prefix=self._object(path)["Key"],
            connection=self.connection,
        )

    def _object(self, path: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{checked(path)}".lstrip("/")}

    def _fetch(self, path: str, **part: str) -> bytes:
        """Bytes of an object; once more where the connection broke in the middle of them."""
        name = self._object(path)
        with self._translated(path):
            body = self.connection.client.get_object(**name, **part)["Body"]
            try:
                data: bytes = body.read()
            except _BROKEN:
                data = self.connection.client.get_object(**name, **part)["Body"].read()
        return data

    def _listed(self, prefix: str) -> Iterator[str]:
        """Markers of folders, which consoles write, are no objects of ours."""
        root = f"{self.prefix}/".lstrip("/")
        with self._translated(prefix):
            pages = self.connection.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=f"{root}{prefix}"):
                keys = (entry["Key"] for entry in page.get("Contents", ()))
                yield from (key.removeprefix(root) for key in keys if not key.endswith("/"))

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        where = f"{self.uri}/{path}".rstrip("/")
        try:
            yield
        except S3UploadFailedError as err:
            raise self._translate(err.__cause__ or err.__context__ or err, where) from err
        except (foreign.BotoCoreError, foreign.ClientError, OSError) as err:
            raise self._translate(err, where) from err

    def _translate(self, err: BaseException, where: str) -> CorpusError:
        if isinstance(err, _NO_CREDENTIALS):
            return CorpusError(f"no credentials for {where}\n  {err}", _CREDENTIALS_HINT)
        code = err.response["Error"].get("Code", "") if isinstance(err, foreign.ClientError) else ""
        if code == "NoSuchBucket":
            return CorpusError(
                f"there is no bucket `{self.bucket}`: {where}",
                "create it, or mend the URI and `storage.endpoint_url`",
            )
        if code in _MISSING or isinstance(err, FileNotFoundError):
            return missing(where)
        if code == "InvalidRange":
            return cut_short(where)
        if code in _FORBIDDEN or isinstance(err, PermissionError):
            return CorpusError(
                f"the object store refused these credentials: {where}\n  it says: {err}",
                f"ask for access to the bucket, or {_CREDENTIALS_HINT}",
            )
        if code in _ELSEWHERE:
            return CorpusError(
                f"the bucket lies in another region: {where}\n  it says: {err}",
                "set `storage.region`",
            )
        endpoint = self.connection.spec.endpoint_url or "AWS"
        return StorageError(
            f"the object store at {endpoint} failed: {where}\n"
            f"  it says: {str(err) or type(err).__name__}",
            "try again; is `storage.endpoint_url` right and the store up?",
        )
