"""A built corpus as arrays: who, when and which affect (the index), and one modality at a time.

What is returned is in memory; what is fetched are the bytes of the columns asked for. Owns the
identity of a window: its position in the corpus.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from pricon.corpus.gather import Column, Place, gather
from pricon.corpus.index import WindowIndex, as_index, number_columns
from pricon.corpus.manifest import (
    MANIFEST_PATH,
    Manifest,
    ModalityEntry,
    parse_manifest,
)
from pricon.errors import CorpusError, StorageError
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.storage import Storage
from pricon.stores.cache import PartCache


def open_corpus(storage: Storage, cache: PartCache | None = None) -> "Corpus":
    """The corpus in `storage`, its manifest read and checked; its columns are kept in `cache`.

    Raises:
        CorpusError: no corpus is there, or its manifest is damaged or of another schema version.
        StorageError: the store failed.
    """
    try:
        data = storage.read(MANIFEST_PATH)
    except StorageError:
        raise
    except CorpusError as err:
        if storage.exists(MANIFEST_PATH):
            raise
        raise CorpusError(
            f"there is no corpus at {storage.uri}\n  expected `{MANIFEST_PATH}` in it",
            "build it with `pricon corpus build JOB`, or mend `corpus.uri`; a relative folder is "
            "looked for from where you are",
        ) from err
    manifest = parse_manifest(data, f"{storage.uri}/{MANIFEST_PATH}")
    return Corpus(storage=storage, manifest=manifest, cache=cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A built corpus. Stimuli are given by name; no names means all that it holds."""

    storage: Storage
    manifest: Manifest
    cache: PartCache | None = None

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
        index, _ = self.windows((), stimuli)
        return index

    def features(self, modality: str, stimuli: tuple[str, ...] = ()) -> NDArray[np.float32]:
        """One modality of these stimuli, shape (windows, frames, width).

        Rows as in `index`, features as in `feature_names`.

        Fetches the bytes of this modality and no other.

        Raises:
            CorpusError: an unknown modality or stimulus, nothing recorded in every one of these
                stimuli, or a damaged shard.
            StorageError: the store failed.
        """
        stimuli = self.known_stimuli(stimuli)
        rows, places = self._places(stimuli)
        column = self.column(modality, stimuli, len(rows))
        gather(self.storage, places, {modality: column}, self.cache)
        return column.values

    def windows(
        self, modalities: Sequence[str], stimuli: tuple[str, ...] = ()
    ) -> tuple[WindowIndex, dict[str, NDArray[np.float32]]]:
        """`index`, and `features` of these modalities, in as few requests as can be.

        Raises:
            CorpusError: as `features`.
            StorageError: the store failed.
        """
        stimuli = self.known_stimuli(stimuli)
        rows, places = self._places(stimuli)
        affects = number_columns(self.manifest.affects)
        numbers = {name: Column(values=np.empty(len(rows))) for name in affects}
        features = {name: self.column(name, stimuli, len(rows)) for name in modalities}
        gather(self.storage, places, {**numbers, **features}, self.cache)
        index = as_index(
            {name: column.values for name, column in numbers.items()},
            rows,
            self.summary.sessions,
            self._session_of()[rows],
            {session.id: session.trace_mean for session in self.manifest.sessions},
        )
        return index, {name: column.values for name, column in features.items()}

    def feature_names(self, modality: str, stimuli: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Features of a modality that were recorded in every one of these stimuli.

        Raises:
            CorpusError: as `features`.
        """
        names = self.modality(modality).features
        present = self._present(modality, self.known_stimuli(stimuli))
        return tuple(names[column] for column in present)

    def _present(self, modality: str, stimuli: tuple[str, ...]) -> tuple[int, ...]:
        present = self.modality(modality).present
        columns = set.intersection(*({*present.get(stimulus, ())} for stimulus in stimuli))
        if not columns:
            raise CorpusError(
                f"no feature of modality `{modality}` was recorded in every one of the stimuli "
                f"{', '.join(stimuli)}",
                "use one model a stimulus (`stimulus_models: each`), or leave this modality out",
            )
        return tuple(sorted(columns))

    def modality(self, name: str) -> ModalityEntry:
        """What there is of a modality (CorpusError where there is none of this name)."""
        entries = {entry.name: entry for entry in self.manifest.modalities}
        self._check_known(name, entries, "modality")
        return entries[name]

    def known_stimuli(self, stimuli: tuple[str, ...] = ()) -> tuple[str, ...]:
        """These stimuli, or all (CorpusError where there is none of such a name)."""
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

    def _session_of(self) -> NDArray[np.int64]:
        """Which session each window belongs to; windows are in the order of their sessions."""
        num_windows = [session.num_windows for session in self.manifest.sessions]
        return np.repeat(np.arange(len(num_windows)), num_windows)

    def _places(self, stimuli: tuple[str, ...]) -> tuple[NDArray[np.int64], list[Place]]:
        """Positions of the windows of these stimuli in the corpus, and where they lie."""
        wanted = np.array([session.stimulus in stimuli for session in self.manifest.sessions])
        rows = np.flatnonzero(wanted[self._session_of()])
        places, first, at = [], 0, 0
        for shard in self.manifest.shards:
            end = first + shard.num_windows
            stop = int(np.searchsorted(rows, end))
            if at < stop:
                places.append(Place(shard=shard, rows=rows[at:stop] - first, at=at))
            first, at = end, stop
        return rows, places

    def column(self, modality: str, stimuli: tuple[str, ...], num: int) -> Column:
        """Room for the features of a modality that were recorded in every one of these stimuli."""
        kept = self._present(modality, stimuli)
        shape = num, self.manifest.windows.frames, len(kept)
        return Column(
            values=np.empty(shape, np.float32), width=self.modality(modality).width, kept=kept
        )
