"""What is submitted to a cluster, and the name of its run."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pricon import __version__
from pricon.errors import LaunchError, SpecError
from pricon.plan.identity import SCIENCE, STREAM, identity
from pricon.spec.job import JobSpec

FACTS = "submission.json"
"""File beside the job file on a cluster: who submitted it."""
_LONGEST_NAME = 47
"""Of a RayJob: KubeRay adds to it for the pods."""
_NO_RESULT = {"target", "resources", "storage", "tracking", "output", "statistics", "report"}
"""What a job says that no trial depends on."""


class VersionError(LaunchError):
    """What runs a job is of another version than what submitted it; another try says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One wish to run a job. A retry by the cluster has the same, a new `pricon-submit` another.

    Args:
        id: unique.
        version: of the pricon that asks.
        folds: only these; None for all.
        reruns: train again what is already finished.
        is_tracked: record it in MLflow.
        handle: of its run on a cluster, as far as it is known.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: str = __version__
    folds: tuple[int, ...] | None = None
    reruns: bool = False
    is_tracked: bool = True
    handle: str | None = None

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

    def facts(self, **others: object) -> str:
        """Text of the file `FACTS`; `others` are noted with what the submission says of itself."""
        facts = {"submission": self.id, "version": self.version, "handle": self.handle, **others}
        return json.dumps(facts, indent=1) + "\n"


def is_other_version(version: object) -> bool:
    """Whether something says that it is of a version whose keys may be others than ours."""
    return isinstance(version, str) and version != __version__


def read_facts(job_file: Path) -> dict[str, object]:
    """What `FACTS` beside a job says; nothing where it is not there, as where one drives by hand.

    Raises:
        SpecError: the file is damaged.
    """
    file = job_file.with_name(FACTS)
    if not file.exists():
        return {}
    hint = "submit the job again: pricon-submit writes it anew"
    try:
        facts = json.loads(file.read_bytes())
    except ValueError as err:
        raise SpecError(f"{file} is no JSON object: {err}", hint) from err
    if not isinstance(facts, dict):
        raise SpecError(f"{file} is no JSON object: {facts!r:.40}", hint)
    return facts


def handle_in(facts: Mapping[str, object]) -> str | None:
    """The name of the run, as the facts of its submission say it."""
    handle = facts.get("handle")
    return handle if isinstance(handle, str) else None


def check_submitter(facts: Mapping[str, object]) -> None:
    """Refuse a job that another version has submitted, as its facts say.

    Raises:
        VersionError: it is of another version.
    """
    there, image = facts.get("version"), facts.get("image")
    if not is_other_version(there):
        return
    if image is None:
        raise VersionError(
            f"pricon {there} submitted this run, and the Ray cluster has pricon {__version__}",
            f"install pricon {there} there, or submit with pricon {__version__}",
        )
    raise VersionError(
        f"pricon {there} submitted this run, and its image holds pricon {__version__} ({image})",
        f"the cluster's owner sets `profile.image` of the chart to an image of pricon {there}, or "
        f"`profile.version` to {__version__}, and runs `helm upgrade`; then submit with that "
        "version",
    )


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
