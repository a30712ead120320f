"""What a target must be able to do: run lanes. The one object in which targets differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pricon.errors import LaunchError
from pricon.launch.events import Listen
from pricon.plan.plan import Plan
from pricon.spec.job import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One lane's work, complete: what is carried to its workers.

    Args:
        job: settings.
        plan: of this lane alone.
        lane: its index among all lanes.
    """

    job: JobSpec
    plan: Plan
    lane: int

    @staticmethod
    def of(job: JobSpec, plan: Plan, lane: int) -> "Assignment":
        """A lane of a whole plan.

        Folders of `job` become absolute: a worker starts in a folder of its own.
        """
        corpus = job.corpus.model_copy(update={"uri": absolute(job.corpus.uri)})
        update = {"corpus": corpus, "output": absolute(job.output)}
        own = plan.only(plan.lanes[lane])
        return Assignment(job=job.model_copy(update=update), plan=own, lane=lane)


def absolute(uri: str) -> str:
    """A URI as it is; a folder from the root."""
    return uri if "://" in uri else str(Path(uri).absolute())


class NoWorkersError(LaunchError):
    """For longer than was to be waited, a cluster had no nodes for all workers of a lane."""


class Lanes(Protocol):
    """Runs lanes and reports on them."""

    def run(self, lanes: Sequence[Assignment], listen: Listen) -> None:
        """Run all `lanes`, telling `listen` (in the calling thread) what happens.

        A lane that fails ends with a `LaneDone` that says why; the others go on. Returns when all
        have ended.

        Raises:
            LaunchError: nothing could be started, or there are no workers any more.
        """
        ...
