"""What the driver hears while lanes work: what they tell, and what they have to work on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PackBegun:
    """A pack of stages begins to train, or goes on.

    Args:
        lane: index of the lane.
        stages: ids.
    """

    lane: int
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """A pack has trained one more epoch.

    Args:
        lane: index of the lane.
        pack: what trains, in words.
        role: of its stages.
        objective: of its stages.
        epoch: epochs done.
        epochs: most epochs.
        live: members that go on.
        members: members of the pack.
        validation_loss: mean over the members that were judged, or None.
    """

    lane: int
    pack: str
    role: str
    objective: str
    epoch: int
    epochs: int
    live: int
    members: int
    validation_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointKept:
    """A checkpoint of a pack was committed: so far need not be trained again.

    Args:
        lane: index of the lane.
        epoch: epochs done.
        batches: done of the next epoch.
    """

    lane: int
    epoch: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesDone:
    """Stages were committed, or failed for good: stage id -> reason."""

    lane: int
    committed: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDone:
    """A lane has ended.

    Args:
        lane: index of the lane.
        error: why it did not finish its work, or None.
        lost: whether it ended because its workers were lost, so that another try may help.
    """

    lane: int
    error: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRestarted:
    """A lane begins again, from what it saved: workers were lost, or its store was away.

    Args:
        lane: index of the lane.
    """

    lane: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHung:
    """A worker got no further for so long that it is ended.

    Args:
        lane: index of the lane.
        rank: of the worker.
        seconds: for so long.
        place: where in the code it is.
    """

    lane: int
    rank: int
    seconds: float
    place: str

    @property
    def words(self) -> str:
        """For a line."""
        return f"worker {self.rank} got no further for {self.seconds:g} s, in {self.place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesHeld:
    """What a cluster had for workers for a while.

    Args:
        nodes: with CPUs or GPUs for work, used or not.
        gpus: of all of them.
        seconds: for so long.
    """

    nodes: int
    gpus: float
    seconds: float


LaneEvent = (
    PackBegun | EpochDone | CheckpointKept | StagesDone | LaneDone | LaneRestarted | WorkerHung
)
"""What a lane tells."""
Event = LaneEvent | NodesHeld
Tell = Callable[[LaneEvent], None]
Listen = Callable[[Event], None]
