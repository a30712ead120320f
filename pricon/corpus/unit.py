"""Builds one unit of raw files: sessions -> windows -> shards -> journal.

A unit is named by a fingerprint of its bytes and of every setting, and so are its shards and its
journal: what an interrupted build left is used again where it is the same, and two builds at once
either write the same bytes or write to different names.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

import pricon
from pricon.corpus.manifest import (
    MANIFEST_PATH,
    SCHEMA_VERSION,
    SessionEntry,
    ShardEntry,
    SourceEntry,
    settings_of,
)
from pricon.corpus.modalities import Modality
from pricon.corpus.rows import Rows
from pricon.corpus.session import Adapter, Session, Unit
from pricon.corpus.shards import SHARD_LAYOUT, write_shard
from pricon.corpus.windows import SessionWindows, cut
from pricon.errors import CorpusError, StorageError
from pricon.spec.corpus import CorpusSpec
from pricon.storage import Storage

_log = logging.getLogger(__name__)

JOURNAL_FOLDER = "build/"
SHARD_FOLDER = "shards/"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTask:
    """All that a process needs to build a unit."""

    adapter: Adapter
    spec: CorpusSpec
    storage: Storage
    modalities: tuple[Modality, ...]
    unit: Unit
    sources: tuple[SourceEntry, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of all that the unit's shards depend on."""
        content = [
            pricon.__version__,
            SCHEMA_VERSION,
            SHARD_LAYOUT,
            pa.__version__,
            self.spec.adapter,
            self.spec.windows.model_dump(),
            self.spec.shard_windows,
            settings_of(self.spec),
            self.adapter.affects,
            [[modality.name, modality.features] for modality in self.modalities],
            [source.model_dump() for source in self.sources],
            self.unit.span,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def journal(self) -> str:
        """Where the result stands once the unit is finished."""
        return f"{JOURNAL_FOLDER}{self.unit.name}-{self.fingerprint}.json"

    @property
    def shard_prefix(self) -> str:
        """Starts the paths of the unit's shards."""
        return f"{SHARD_FOLDER}{self.unit.name}-{self.fingerprint}-"

    def shard(self, number: int) -> str:
        """Where a shard of the unit lies."""
        return f"{self.shard_prefix}{number}.parquet"


class UnitResult(BaseModel):
    """What a finished unit adds to the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: tuple[SessionEntry, ...]
    shards: tuple[ShardEntry, ...]
    present: dict[str, dict[str, tuple[int, ...]]]
    """Stimulus -> modality -> columns with at least one recorded value."""


def build_unit(task: UnitTask, is_cancelled: Callable[[], bool]) -> UnitResult | None:
    """Write the shards of a unit, then its journal; or take what an earlier build finished.

    Returns:
        None where the build was cancelled; nothing of the unit is left then.

    Raises:
        CorpusError: the recordings are wrong; the unit's shards are removed.
        StorageError: the store failed; shards may be left, under names that only an equal build
            uses.
    """
    if (finished := _finished(task)) is not None:
        return finished
    try:
        with TemporaryDirectory(prefix="pricon-") as folder:
            result = _Builder(task, Path(folder)).build(is_cancelled)
    except StorageError:
        raise
    except BaseException:
        _remove(task)
        raise
    if result is None:
        _remove(task)
        return None
    task.storage.write(task.journal, result.model_dump_json().encode())
    return result


def describe_source(path: Path, folder: Path | None) -> SourceEntry:
    """A raw file, hashed; its name is relative to the folder of the recordings.

    Raises:
        CorpusError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = path.stat().st_size
    except OSError as err:
        raise CorpusError(
            f"a recording cannot be read: {path}\n  {err.strerror}",
            "check that the file is there and that this user may read it",
        ) from err
    return SourceEntry(name=source_name(path, folder), num_bytes=num_bytes, sha256=sha256)


def source_name(path: Path, folder: Path | None) -> str:
    """`path` below `folder`, the same on every machine."""
    if folder is not None:
        with suppress(ValueError):
            return path.absolute().relative_to(folder.absolute()).as_posix()
    return path.name


def hash_recording(session: Session) -> str:
    """SHA-256 of all channels, whoever was recorded.

    The same for one recording under two ids, which would be a leak between participants.
    """
    digest = hashlib.sha256()
    for channel in session.channels:
        digest.update(json.dumps([channel.features, channel.values.shape]).encode())
        digest.update(np.ascontiguousarray(channel.times_s, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(channel.values, dtype="<f4").tobytes())
    return digest.hexdigest()


class _Builder:
    """One pass over the sessions of a unit."""

    def __init__(self, task: UnitTask, folder: Path) -> None:
        self.task = task
        self.folder = folder
        self.sessions: list[SessionEntry] = []
        self.shards: list[ShardEntry] = []
        self.recorded: dict[str, set[str]] = {}

    def build(self, is_cancelled: Callable[[], bool]) -> UnitResult | None:
        """Everything; None where the build was cancelled."""
        task = self.task
        rows = Rows(task.modalities, task.adapter.affects, task.spec.shard_windows)
        for session in task.adapter.sessions(task.unit):
            if is_cancelled():
                return None
            windows = cut(session, task.spec.windows)
            if len(windows.t_start_s) == 0:
                _log.warning("session is too short for one window  session=%s", session.id)
                continue
            self._note(session, windows)
            self._store(rows.add(session, windows))
        self._store(rows.rest())
        return UnitResult(
            sessions=tuple(self.sessions), shards=tuple(self.shards), present=self._present()
        )

    def _note(self, session: Session, windows: SessionWindows) -> None:
        means = windows.trace_mean.items()
        self.sessions.append(
            SessionEntry(
                id=session.id,
                participant=session.participant,
                stimulus=session.stimulus,
                num_windows=len(windows.t_start_s),
                sha256=hash_recording(session),
                trace_mean={name: None if math.isnan(mean) else mean for name, mean in means},
            )
        )
        known = ~np.isnan(windows.features).all(axis=(0, 1))
        names = np.array(windows.feature_names, dtype=object)[known]
        self.recorded.setdefault(session.stimulus, set()).update(names.tolist())

    def _store(self, tables: Iterable[pa.Table]) -> None:
        for table in tables:
            path, file = self.task.shard(len(self.shards)), self.folder / "shard.parquet"
            try:
                shard = write_shard(file, table, path=path, unit=self.task.unit.name)
            except OSError as err:
                raise StorageError(
                    f"a shard cannot be written to the temporary folder {self.folder}\n  {err}",
                    "make room there, or set TMPDIR to a folder on another disk",
                ) from err
            self.task.storage.upload(path, file)
            self.shards.append(shard)

    def _present(self) -> dict[str, dict[str, tuple[int, ...]]]:
        return {
            stimulus: {
                modality.name: tuple(
                    column for column, name in enumerate(modality.features) if name in recorded
                )
                for modality in self.task.modalities
            }
            for stimulus, recorded in self.recorded.items()
        }


def _finished(task: UnitTask) -> UnitResult | None:
    """What an earlier build wrote, if it finished the unit and all shards are there."""
    if not task.storage.exists(task.journal):
        return None
    try:
        result = UnitResult.model_validate_json(task.storage.read(task.journal))
    except StorageError:
        raise
    except (CorpusError, ValidationError):
        return None  # torn, or an equal build has just finished and removed it
    there = task.storage.list(task.shard_prefix)
    return result if {shard.path for shard in result.shards} <= {*there} else None


def _remove(task: UnitTask) -> None:
    """Remove the unit's shards, unless an equal build beside this one has finished with them."""
    with suppress(CorpusError):
        if task.storage.exists(task.journal) or task.storage.exists(MANIFEST_PATH):
            return
        for path in task.storage.list(task.shard_prefix):
            task.storage.delete(path)
