"""What planning must know about a corpus: no features, no affect."""

from dataclasses import dataclass

from pricon.spec.corpus import Affect


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSession:
    """One session: who was recorded with which stimulus, and a hash of the recorded bytes.

    Without a hash where the corpus is not built yet.
    """

    id: str
    participant: str
    stimulus: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSummary:
    """A corpus as the planner sees it.

    Args:
        digest: SHA-256 of the manifest; empty where the corpus is not built yet.
        generated: whether a generator wrote the recordings.
        modalities: names of all modalities.
        affects: annotated quantities.
        sessions: every recording.
    """

    digest: str
    generated: bool
    modalities: tuple[str, ...]
    affects: tuple[Affect, ...]
    sessions: tuple[RecordedSession, ...]

    @property
    def participants(self) -> tuple[str, ...]:
        """Everybody who was recorded, sorted."""
        return tuple(sorted({session.participant for session in self.sessions}))

    @property
    def stimuli(self) -> tuple[str, ...]:
        """Everything that was shown, sorted."""
        return tuple(sorted({session.stimulus for session in self.sessions}))

    def participants_of(self, stimuli: tuple[str, ...]) -> frozenset[str]:
        """Everybody with a recording for one of `stimuli`."""
        return frozenset(s.participant for s in self.sessions if s.stimulus in stimuli)
