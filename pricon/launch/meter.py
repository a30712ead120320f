"""Counts what a run on a cluster takes, and whose that is.

Counted while lanes run, from the nodes that Ray has. That a pod comes up, pulls an image, is held
before lanes begin or after they end, is not in it, nor is the head: a bill is higher.

While lanes train, all of it is theirs in equal parts, as their workers are alike; and of what a
lane has, each trial for which it trains has as much as any other. So a teacher is paid for by all
whose student it teaches. While none trains, it is nobody's.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from pricon.errors import CorpusError, StorageError
from pricon.launch.bulletins import UsageBulletin
from pricon.launch.events import NodesHeld
from pricon.launch.usage import Price, Usage
from pricon.plan.plan import Cell, Trial
from pricon.storage import Storage

_DIGITS = 4
_DIGITS_OF_PARTS = 6
"""0.0036 s: small trials take a second, and share it with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharer:
    """A trial that has its part of what a lane takes.

    Args:
        trial: id.
        arm: of the trial.
        fold: of the trial.
    """

    trial: str
    arm: str
    fold: int

    @staticmethod
    def of(trial: Trial, cell: Cell) -> "Sharer":
        """The trial, in its cell."""
        return Sharer(trial=trial.id, arm=trial.arm, fold=cell.fold)


@dataclass(slots=True)
class _Tally:
    """What something took, and the parts of it that trials have."""

    total: Usage = field(default_factory=Usage)
    parts: dict[Sharer, Usage] = field(default_factory=dict)

    def add(self, used: Usage, lanes: Sequence[Sequence[Sharer]]) -> None:
        self.total = self.total.plus(used)
        if not used.pod_hours:
            return
        for sharers in lanes:
            part = used.part(len(lanes) * len(sharers))
            for sharer in sharers:
                self._add_part(sharer, part)

    def merge(self, other: "_Tally") -> None:
        self.total = self.total.plus(other.total)
        for sharer, part in other.parts.items():
            self._add_part(sharer, part)

    def _add_part(self, sharer: Sharer, part: Usage) -> None:
        self.parts[sharer] = self.parts.get(sharer, Usage()).plus(part)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tally as a file has it: keys of JSON are no objects."""

    total: Usage
    parts: list[tuple[Sharer, Usage]]


_KEPT = TypeAdapter(_Kept)


class Meter:
    """Counts what an attempt takes, beside all that its run took before, and keeps it.

    A run may have several submissions, each of them several attempts, and each attempt a price of
    its own; each keeps a file. What another one takes at the same time is not heard of.

    Args:
        folder: of the files of the run.
        name: of this attempt.
        price: of a worker pod, or None where nobody has said it.

    Raises:
        StorageError: the store failed.
    """

    def __init__(self, folder: Storage, name: str, price: Price | None) -> None:
        self._folder = folder
        self._file = f"{name}.json"
        self._price = price
        self._own, self._all = _Tally(), _Tally()
        for file in folder.list():
            if file != self._file:
                self._all.merge(_read(folder, file))

    def add(self, held: NodesHeld, lanes: Iterable[Sequence[Sharer]] = ()) -> None:
        """What was there for a while.

        Args:
            held: nodes, and for how long.
            lanes: for which trials each of them trained meanwhile.
        """
        used = Usage.of(held.nodes, held.gpus, held.seconds, self._price)
        at_work = [sharers for sharers in lanes if sharers]
        for tally in (self._own, self._all):
            tally.add(used, at_work)

    def told(self, *, is_last: bool = False) -> UsageBulletin:
        """What the run took so far, which is kept by that."""
        if self._own.total.pod_hours:
            kept = _Kept(self._own.total, [*self._own.parts.items()])
            with suppress(CorpusError):  # nothing of a run depends on it
                self._folder.write(self._file, _KEPT.dump_json(kept))
        cells = defaultdict[str, defaultdict[int, float]](lambda: defaultdict(float))
        for sharer, part in self._all.parts.items():
            cells[sharer.arm][sharer.fold] += part.pod_hours
        total = self._all.total.rounded(_DIGITS)
        return UsageBulletin(
            pod_hours=total.pod_hours,
            gpu_hours=total.gpu_hours,
            cost=total.cost,
            currency=total.currency,
            cells={
                arm: {fold: round(hours, _DIGITS_OF_PARTS) for fold, hours in folds.items()}
                for arm, folds in cells.items()
            },
            is_last=is_last,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Of the run, for MLflow."""
        return self._all.total.rounded(_DIGITS).metrics

    def metrics_of(self, sharer: Sharer) -> dict[str, float]:
        """Of one trial, for MLflow; empty where no lane has trained for it."""
        part = self._all.parts.get(sharer)
        return {} if part is None else part.rounded(_DIGITS_OF_PARTS).metrics


def _read(folder: Storage, file: str) -> _Tally:
    """What an attempt kept; of a file that is not whole nothing."""
    try:
        kept = _KEPT.validate_json(folder.read(file))
    except StorageError:
        raise
    except (CorpusError, ValueError):
        return _Tally()
    return _Tally(kept.total, dict(kept.parts))
