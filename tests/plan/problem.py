"""Jobs and corpus summaries for planning tests."""

from typing import Any

from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.spec.job import JobSpec


def job(**changes: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "tiny",
            "corpus": {"adapter": "again", "uri": "corpora/tiny"},
            "modalities": {"available": ["frames"], "privileged": ["telemetry"]},
            "seeds": [0, 1],
            **changes,
        }
    )


def summary(participants: int = 12, stimuli: tuple[str, ...] = ("fps",)) -> CorpusSummary:
    return CorpusSummary(
        digest="d" * 64,
        generated=True,
        modalities=("frames", "telemetry"),
        affects=("arousal",),
        sessions=tuple(
            RecordedSession(
                id=f"P{person:02d}-{stimulus}",
                participant=f"P{person:02d}",
                stimulus=stimulus,
                sha256=f"{person}-{stimulus}",
            )
            for person in range(participants)
            for stimulus in stimuli
        ),
    )
