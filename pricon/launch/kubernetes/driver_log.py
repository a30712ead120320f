"""What the driver of a run said, wherever that is left: as its pods have it, or as it was kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pricon.errors import LaunchError, PriconError
from pricon.launch.kubernetes.client import Cluster, Object
from pricon.launch.kubernetes.kept import kept_of
from pricon.launch.kubernetes.refusals import UnreadableLogError
from pricon.launch.kubernetes.runs import ENDED, log_lines, state_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLog:
    """Lines of a driver, and where they come from.

    Args:
        lines: of the newest attempt; none where it has said nothing, or nothing is left of it.
        origin: a sentence for what does not come from the cluster; else None.
        troubles: why lines could not be read from places that were asked before.
    """

    lines: list[str] = field(default_factory=list)
    origin: str | None = None
    troubles: list[PriconError] = field(default_factory=list)

    @property
    def notes(self) -> Iterator[str]:
        """How the lines were found, for people: each trouble with its hint, then the origin."""
        for trouble in self.troubles:
            yield trouble.message + (f"\n  hint: {trouble.hint}" if trouble.hint else "")
        if self.origin is not None:
            yield self.origin


def driver_log(
    cluster: Cluster, handle: str, ray_job: Object | None, tracking: str | None
) -> DriverLog:
    """What a driver said; that of a run that has ended is looked for where it outlives its pods.

    Args:
        cluster: where the run is.
        handle: of the run.
        ray_job: None where the cluster has forgotten it.
        tracking: where this user reaches an MLflow, besides that of the cluster's profile.

    Raises:
        UnreadableLogError: the run goes on, on a node that does not answer.
        LaunchError: the API server refuses, or does not answer.
    """
    troubles: list[PriconError] = []
    if ray_job is not None:
        has_ended = state_of(ray_job) in ENDED
        lines: list[str] = []
        try:
            lines = [*log_lines(cluster, ray_job)]
        except UnreadableLogError as err:
            if not has_ended:
                raise
            troubles.append(LaunchError(err.message))  # "try again" helps no run that has ended
        if lines or not has_ended:
            return DriverLog(lines=lines, troubles=troubles)
    kept = kept_of(cluster, handle, ray_job, tracking)
    for trouble in kept.troubles:
        message = f"a log that was kept cannot be read from here: {trouble.message}"
        troubles.append(LaunchError(message, trouble.hint))
    origin = None
    if kept.lines:
        what = "its log is gone from" if ray_job else f"run {handle} is forgotten by"
        origin = f"{what} the cluster; this is what its driver kept in {kept.place}"
    return DriverLog(lines=kept.lines, origin=origin, troubles=troubles)
