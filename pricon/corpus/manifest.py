"""The index of a corpus: what there is, where its bytes lie, and what they must hash to.

Owns `manifest.json` and its digest. Knows nothing of how shards are written or read.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator

from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, CorpusSpecBase, GenerateSpec, WindowSpec

MANIFEST_PATH = "manifest.json"
SCHEMA_VERSION = 2
"""Raised whenever a corpus of an older version could be misread."""

READER = 1
"""Version of what adapters and windowing read out of recordings. Raise it in every commit that
changes a window: a corpus built before is then refused, not taken for what the code reads."""

_NO_SETTING = {"uri", "source", "generate", "adapter", "windows", "shard_windows"}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ByteRange(_Entry):
    """A part of an object."""

    start: int
    num_bytes: int
    sha256: str


class ModalityEntry(_Entry):
    """A named feature stream."""

    name: str

    features: tuple[str, ...]
    """Names of all columns, in the order of the shards."""

    present: dict[str, tuple[int, ...]]
    """Stimulus -> columns with at least one recorded value in it."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.features)


class SessionEntry(_Entry):
    """One participant's continuous recording."""

    id: str
    participant: str
    stimulus: str
    num_windows: int

    sha256: str
    """Of the recorded channels alone, so that one recording under two ids is found."""

    trace_mean: dict[Affect, float | None]
    """Mean of each whole trace, unannotated moments left out; null where nothing was annotated."""


class ShardEntry(_Entry):
    """One immutable file of windows."""

    path: str

    unit: str
    """The raw files that it was built from."""

    num_windows: int
    num_bytes: int
    sha256: str
    stimuli: tuple[str, ...]
    participants: tuple[str, ...]
    footer: ByteRange

    columns: dict[str, ByteRange]
    """Where the bytes of each column lie."""


class SourceEntry(_Entry):
    """A raw file; `name` is relative to the folder of the recordings."""

    name: str
    num_bytes: int
    sha256: str


class Manifest(_Entry):
    """A whole corpus. Two corpora with one digest hold the same windows."""

    schema_version: int = SCHEMA_VERSION
    adapter: str

    generated: bool
    """Whether a generator wrote the recordings: nothing here says anything about people."""

    generate: GenerateSpec | None = None
    """What the generator was told, where the job that built the corpus said so."""

    windows: WindowSpec

    settings: dict[str, JsonValue]
    """What else the job said about which windows and modalities there are."""

    affects: tuple[Affect, ...]
    modalities: tuple[ModalityEntry, ...]
    sessions: tuple[SessionEntry, ...]
    shards: tuple[ShardEntry, ...]
    sources: tuple[SourceEntry, ...]

    @model_validator(mode="after")
    def _windows_add_up(self) -> "Manifest":
        in_shards = sum(shard.num_windows for shard in self.shards)
        if in_shards != self.num_windows:
            raise ValueError(f"{self.num_windows} windows in sessions, {in_shards} in shards")
        return self

    @property
    def participants(self) -> tuple[str, ...]:
        """Everybody with a window, sorted."""
        return tuple(sorted({session.participant for session in self.sessions}))

    @property
    def stimuli(self) -> tuple[str, ...]:
        """Everything with a window, sorted."""
        return tuple(sorted({session.stimulus for session in self.sessions}))

    @property
    def num_windows(self) -> int:
        """Windows of all sessions together."""
        return sum(session.num_windows for session in self.sessions)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON; no clock, host or place is in it."""
        return _digest(self.model_dump(mode="json"))


def settings_of(spec: CorpusSpecBase) -> dict[str, JsonValue]:
    """What a job says about the content of a corpus besides adapter and windows.

    The size of a shard is not among it: it moves windows between files and changes none.
    """
    settings: dict[str, JsonValue] = spec.model_dump(mode="json", exclude=_NO_SETTING)
    return {**settings, "reader": READER}


def write_manifest(manifest: Manifest) -> bytes:
    """JSON for people and for `diff`, with the digest in it."""
    content = {"digest": manifest.digest, **manifest.model_dump(mode="json")}
    return (json.dumps(content, indent=1) + "\n").encode()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in `data`; `where` stands for its place in messages.

    Raises:
        CorpusError: not a manifest, one of another schema version, or not as it was written.
    """
    content = _parse(data, where)
    if (version := content.get("schema_version")) != SCHEMA_VERSION:
        raise CorpusError(
            f"{where} has schema version {version!r}\n"
            f"  expected {SCHEMA_VERSION}, the one that this pricon reads",
            "build the corpus again under another `corpus.uri`, or use the pricon that built it",
        )
    digest = content.pop("digest", None)
    if digest != (found := _digest(content)):
        raise _damaged(where, f"its digest says {digest}, its content {found}")
    try:
        manifest = Manifest.model_validate_json(json.dumps(content))
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise _damaged(where, f"{place}: {first['msg']}") from err
    # The digest of what was written: a field that came later must not make it another corpus.
    manifest.__dict__["digest"] = digest
    return manifest


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError as err:
        raise _damaged(where, str(err)) from err
    if not isinstance(content, dict):
        raise _damaged(where, "expected a mapping")
    return content


def _damaged(where: str, what: str) -> CorpusError:
    return CorpusError(
        f"{where} is damaged, or no manifest of a corpus\n  {what}",
        "a manifest is never edited: build the corpus again under another `corpus.uri`",
    )
