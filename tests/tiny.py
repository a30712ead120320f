"""A job small enough for every test: eight generated people, 40 s each, two folds, one seed."""

from pathlib import Path
from typing import Any

from pricon.corpus.ensure import ensure_corpus
from pricon.spec.job import JobSpec

QUICK = {
    "contrastive": {"learning_rate": 1e-3, "epochs": 3, "patience": 2},
    "probe": {"learning_rate": 1e-2, "epochs": 3, "patience": 2},
    "supervised": {"learning_rate": 1e-3, "epochs": 3, "patience": 2},
}


def tiny_job(folder: Path, **changes: Any) -> JobSpec:
    """The job, everything below `folder`; `changes` replace whole keys."""
    return JobSpec.model_validate(tiny_document(folder, **changes))


def tiny_document(folder: Path, **changes: Any) -> dict[str, Any]:
    """The same as its YAML would read."""
    return {
        "name": "tiny",
        "corpus": {
            "adapter": "again",
            "generate": {
                "into": str(folder / "recordings"),
                "participants": 8,
                "session_s": 60,
            },
            "uri": str(folder / "corpus"),
        },
        "modalities": {"available": ["frames"], "privileged": ["telemetry"]},
        "folds": {"count": 2, "validation_minimum": 1},
        "seeds": [0],
        "optimisation": QUICK,
        "output": str(folder / "runs"),
        "target": "inprocess",
        **changes,
    }


def build(job: JobSpec) -> JobSpec:
    """The same job, its corpus generated and built."""
    ensure_corpus(job.corpus, job.storage)
    return job
