"""What a corpus holds, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from pricon.corpus.manifest import Manifest
from pricon.corpus.reader import Corpus
from pricon.corpus.shards import described

_POOLED = {"mean": "averaged", "last": "at its last tick"}


def describe(corpus: Corpus) -> list[str]:
    """Lines for the terminal: origin, participants, stimuli, modalities, size, oddities."""
    manifest = corpus.manifest
    origin = "GENERATED, says nothing about people" if manifest.generated else "recorded"
    windows = manifest.windows
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    return [
        f"corpus        {corpus.storage.uri}",
        f"adapter       {manifest.adapter} ({origin})",
        f"windows       {manifest.num_windows:,} of {windows.window_s:g} s every "
        f"{windows.hop_s:g} s, input {windows.lag_s:g} s ahead",
        f"frames        {windows.frames} a window, of {windows.frame_s:g} s each, features "
        f"{_POOLED[windows.pooling]}",
        f"affect        {', '.join(manifest.affects)}",
        f"participants  {len(manifest.participants)}",
        f"sessions      {len(manifest.sessions)}",
        *_stimuli(manifest),
        *_modalities(manifest),
        f"stored        {len(manifest.shards)} shards, {num_bytes / 1e6:,.1f} MB",
        f"built from    {len(manifest.sources)} files, "
        f"{sum(source.num_bytes for source in manifest.sources) / 1e6:,.1f} MB",
        f"digest        {manifest.digest}",
        *_recorded_twice(manifest),
    ]


def _stimuli(manifest: Manifest) -> Iterator[str]:
    windows: Counter[str] = Counter()
    participants = defaultdict(set)
    for session in manifest.sessions:
        windows[session.stimulus] += session.num_windows
        participants[session.stimulus].add(session.participant)
    for name in manifest.stimuli:
        yield f"stimulus      {name}: {windows[name]:,} windows, {len(participants[name])} people"


def _modalities(manifest: Manifest) -> Iterator[str]:
    for entry in manifest.modalities:
        present = [len(entry.present.get(name, ())) for name in manifest.stimuli]
        fewest, most = min(present), max(present)
        found = str(most) if fewest == most else f"{fewest} to {most}"
        yield f"modality      {entry.name}: {entry.width} features, {found} recorded a stimulus"


def _recorded_twice(manifest: Manifest) -> Iterator[str]:
    by_content = defaultdict(list)
    for session in manifest.sessions:
        by_content[session.sha256].append(session)
    for sessions in by_content.values():
        if len(sessions) > 1:
            who = described({session.participant for session in sessions})
            names = ", ".join(session.id for session in sessions)
            yield f"warning       the same recording {len(sessions)} times: {names} ({who})"
