"""A built corpus as arrays: who, when and which affect (the index), and one modality at a time.

What is returned is in memory; what is fetched are the bytes of the columns asked for. Owns the
identity of a window: its position in the corpus.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex, as_index, index_columns
from pricon.corpus.manifest import (
    MANIFEST_PATH,
    Manifest,
    ModalityEntry,
    ShardEntry,
    parse_manifest,
)
from pricon.corpus.shards import features_of, read_columns
from pricon.errors import CorpusError
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.storage import Storage

_FETCHES_AT_ONCE = 4

_T = TypeVar("_T")


def open_corpus(storage: Storage) -> "Corpus":
    """The corpus in `storage`, its manifest read and checked.

    Raises:
        CorpusError: no corpus is there, or its manifest is damaged or of another schema version.
        StorageError: the store failed.
    """
    if not storage.exists(MANIFEST_PATH):
        raise CorpusError(
            f"there is no corpus at {storage.uri}\n  expected `{MANIFEST_PATH}` in it",
            "build it with `pricon corpus build JOB`, or mend `corpus.uri`",
        )
    where = f"{storage.uri}/{MANIFEST_PATH}"
    return Corpus(storage=storage, manifest=parse_manifest(storage.read(MANIFEST_PATH), where))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A built corpus. Stimuli are given by name; no names means all that it holds."""

    storage: Storage
    manifest: Manifest

    @property
    def summary(self) -> CorpusSummary:
        """What planning needs to know."""
        return CorpusSummary(
            digest=self.manifest.digest,
            generated=self.manifest.generated,
            modalities=tuple(modality.name for modality in self.manifest.modalities),
            affects=self.manifest.affects,
            sessions=tuple(
                RecordedSession(
                    id=session.id,
                    participant=session.participant,
                    stimulus=session.stimulus,
                    sha256=session.sha256,
                )
                for session in self.manifest.sessions
            ),
        )

    def index(self, stimuli: tuple[str, ...] = ()) -> WindowIndex:
        """All windows of these stimuli, in the order of the corpus.

        Raises:
            CorpusError: an unknown stimulus, or a damaged shard.
            StorageError: the store failed.
        """
        stimuli = self._known_stimuli(stimuli)
        affects = self.manifest.affects
        parts = list(self._read(stimuli, index_columns(affects), _numbered))
        table = pa.concat_tables([rows for rows, _ in parts])
        window = np.concatenate([window for _, window in parts])
        trace_mean = {session.id: session.trace_mean for session in self.manifest.sessions}
        return as_index(table, window, trace_mean, affects)

    def features(self, modality: str, stimuli: tuple[str, ...] = ()) -> NDArray[np.float32]:
        """One modality of these stimuli, shape (windows, frames, width).

        Rows as in `index`, features as in `feature_names`.

        Fetches the bytes of this modality and no other.

        Raises:
            CorpusError: an unknown modality or stimulus, nothing recorded in every one of these
                stimuli, or a damaged shard.
            StorageError: the store failed.
        """
        stimuli = self._known_stimuli(stimuli)
        present = list(self._present(modality, stimuli))
        frames = self.manifest.windows.frames
        take = partial(_features_of, modality=modality, present=present, frames=frames)
        return np.concatenate(list(self._read(stimuli, ["stimulus", modality], take)))

    def feature_names(self, modality: str, stimuli: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Features of a modality that were recorded in every one of these stimuli.

        Raises:
            CorpusError: as `features`.
        """
        names = self._modality(modality).features
        present = self._present(modality, self._known_stimuli(stimuli))
        return tuple(names[column] for column in present)

    def _present(self, modality: str, stimuli: tuple[str, ...]) -> tuple[int, ...]:
        present = self._modality(modality).present
        columns = set.intersection(*({*present.get(stimulus, ())} for stimulus in stimuli))
        if not columns:
            raise CorpusError(
                f"no feature of modality `{modality}` was recorded in every one of the stimuli "
                f"{', '.join(stimuli)}",
                "use one model a stimulus (`stimulus_models: each`), or leave this modality out",
            )
        return tuple(sorted(columns))

    def _modality(self, name: str) -> ModalityEntry:
        entries = {entry.name: entry for entry in self.manifest.modalities}
        self._check_known(name, entries, "modality")
        return entries[name]

    def _known_stimuli(self, stimuli: tuple[str, ...]) -> tuple[str, ...]:
        for name in stimuli:
            self._check_known(name, self.manifest.stimuli, "stimulus")
        return stimuli or self.manifest.stimuli

    def _check_known(self, name: str, known: Iterable[str], noun: str) -> None:
        names = sorted(known)
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise CorpusError(
                f"corpus {self.storage.uri} has no {noun} `{name}`\n  it has: {', '.join(names)}",
                f"did you mean `{near[0]}`?" if near else "`pricon corpus inspect` says more",
            )

    def _read(
        self,
        stimuli: tuple[str, ...],
        columns: Sequence[str],
        take: Callable[[pa.Table, NDArray[np.int64]], _T],
    ) -> Iterator[_T]:
        """What `take` makes of the rows of each shard and their positions, in order."""
        last = np.cumsum([shard.num_windows for shard in self.manifest.shards])
        found = [
            (shard, int(end) - shard.num_windows)
            for shard, end in zip(self.manifest.shards, last, strict=True)
            if not {*stimuli}.isdisjoint(shard.stimuli)
        ]

        def read(place: tuple[ShardEntry, int]) -> _T:
            shard, first = place
            table = read_columns(self.storage, shard, columns)
            rows = np.flatnonzero(pc.is_in(table["stimulus"], pa.array(stimuli)).to_numpy())
            return take(table if len(rows) == table.num_rows else table.take(rows), first + rows)

        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            yield from pool.map(read, found)


def _numbered(table: pa.Table, window: NDArray[np.int64]) -> tuple[pa.Table, NDArray[np.int64]]:
    return table, window


def _features_of(
    table: pa.Table, window: NDArray[np.int64], *, modality: str, present: list[int], frames: int
) -> NDArray[np.float32]:
    values = features_of(table[modality], frames)
    return values if len(present) == values.shape[2] else values[:, :, present]
