"""What is submitted to a cluster, and the name of its run."""

import uuid
from dataclasses import dataclass, field

from pricon import __version__
from pricon.plan.identity import SCIENCE, STREAM, identity
from pricon.spec.job import JobSpec

_LONGEST_NAME = 47
"""Of a RayJob: KubeRay adds to it for the pods."""
_NO_RESULT = {"target", "resources", "storage", "tracking", "output", "statistics", "report"}
"""What a job says that no trial depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One wish to run a job. A retry by the cluster has the same, a new `pricon-submit` another.

    Args:
        id: unique.
        version: of the pricon that asks.
        folds: only these; None for all.
        reruns: train again what is already finished.
        is_tracked: record it in MLflow.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: str = __version__
    folds: tuple[int, ...] | None = None
    reruns: bool = False
    is_tracked: bool = True

    def command(self, job_file: str, *, gives_up: bool = False) -> str:
        """What the head of a cluster runs.

        Args:
            job_file: on the head.
            gives_up: where the cluster tries again whatever has failed.
        """
        words = ["pricon", "drive", job_file, "--submission", self.id]
        if self.folds is not None:
            words += ["--only-folds", ",".join(map(str, self.folds))]
        if self.reruns:
            words.append("--rerun")
        if not self.is_tracked:
            words.append("--no-track")
        if gives_up:
            words.append("--give-up")
        return " ".join(words)


def handle_of(job: JobSpec, folds: tuple[int, ...] | None = None) -> str:
    """Name of a job's run on a cluster; what computes the same has the same.

    Lower-case letters, digits and hyphens, a letter first, at most 47 characters.
    """
    science = job.model_dump(mode="json", exclude=_NO_RESULT)
    versions = [SCIENCE, STREAM]
    if job.optimisation.streaming is None:
        del science["optimisation"]["streaming"]  # it came later: who runs keeps its handle
        versions = [SCIENCE]
    digest = identity([*versions, science, folds])[:8]
    name = job.name if job.name[0].isalpha() else f"job-{job.name}"
    return f"{name[: _LONGEST_NAME - len(digest) - 1].rstrip('-')}-{digest}"
