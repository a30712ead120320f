"""The body of each worker of a lane: its stages, pack by pack, committed as they finish.

Works alike under Ray Train, under torchrun, and in the driver's own process.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch

from pricon.corpus.reader import open_corpus
from pricon.errors import TrainingError
from pricon.launch.events import EpochDone, Listen, StagesDone
from pricon.launch.runner import Assignment
from pricon.plan.identity import identity
from pricon.plan.plan import Cell, Lane, Plan, Stage
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.recipes import PackWork
from pricon.train.records import Records, StageRecord
from pricon.train.stages import count_majority, train_pack
from pricon.train.windows import GroupWindows

_ORDER = ("majority", "teacher", "probe", "student")


def run_lane(assignment: Assignment, ranks: Ranks, device: torch.device, listen: Listen) -> None:
    """Train what the lane's unfinished trials need, in the order of their chains.

    Safe to call again after any interruption: committed stages are passed over, and a pack goes on
    from its newest checkpoint.

    Raises:
        CorpusError: the corpus cannot be read.
        TrainingError: the leakage guard refuses; nothing more is trained.
    """
    worker = _Worker(assignment, ranks, device, listen)
    for pack in _packs(assignment.plan, worker.lane, assignment.job.resources.pack_members):
        worker.run(pack)


def _packs(plan: Plan, lane: Lane, most_members: int) -> Iterator[tuple[Stage, ...]]:
    """Stages of a lane by role, objective, modalities and stimuli; teachers before students."""
    kinds: dict[tuple[object, ...], list[Stage]] = {}
    for stage in plan.stages_of(lane):
        stimuli = plan.cells[stage.cell].stimuli
        kind = (_ORDER.index(stage.role), stage.objective, stage.modalities, stimuli)
        kinds.setdefault(kind, []).append(stage)
    for _, stages in sorted(kinds.items(), key=lambda item: str(item[0])):
        for start in range(0, len(stages), most_members):
            yield tuple(stages[start : start + most_members])


class _Worker:
    """What stays the same from pack to pack."""

    def __init__(
        self, assignment: Assignment, ranks: Ranks, device: torch.device, listen: Listen
    ) -> None:
        self.job = assignment.job
        self.plan = assignment.plan
        self.lane = self.plan.lanes[assignment.lane]
        self.ranks = ranks
        self.device = device
        self.listen = listen
        self.storage = open_storage(self.job.output, self.job.storage)
        self.records = Records(self.storage.child("stages"))
        self.corpus = open_corpus(open_storage(self.job.corpus.uri, self.job.storage))
        self.failed: dict[str, str] = {}
        self.windows: dict[tuple[str, ...], GroupWindows] = {}
        self.needed = self._needed()

    def _needed(self) -> frozenset[str]:
        """Stages that some unfinished trial still waits for."""
        needed: set[str] = set()
        cells = {*self.lane.cells}
        for trial in self.plan.trials:
            if trial.cell not in cells:
                continue
            for stage_id in reversed(trial.stages):
                if stage_id in needed or self.records.load(stage_id) is not None:
                    break
                needed.add(stage_id)
        self.ranks.wait()
        return frozenset(needed)

    def run(self, planned: Sequence[Stage]) -> None:
        """One pack: what is still needed of it."""
        stages, sources = self._ready([stage for stage in planned if stage.id in self.needed])
        if not stages:
            return
        cells = [self.plan.cells[stage.cell] for stage in stages]
        if stages[0].role == "majority":
            windows = self._windows(cells[0])
            majorities = [
                count_majority(stage, cell, windows)
                for stage, cell in zip(stages, cells, strict=True)
            ]
            self._commit(stages, majorities)
            return
        work = PackWork(
            stages=stages,
            cells=cells,
            sources=sources,
            windows=self._windows(cells[0]),
            job=self.job,
            ranks=self.ranks,
            device=self.device,
        )
        checkpoints = Checkpoints(
            self.storage.child(f"checkpoints/{identity([stage.id for stage in planned])}"),
            [stage.id for stage in stages],
            self.job.resources.checkpoint_interval_s,
        )
        self._commit(stages, train_pack(work, checkpoints, self._teller(work)))
        if self.ranks.index == 0:
            checkpoints.clear()

    def _ready(self, stages: Sequence[Stage]) -> tuple[list[Stage], list[StageRecord | None]]:
        """Stages whose source is there, and that source; the others fail with it."""
        ready, sources, failed = [], [], {}
        for stage in stages:
            source = None if stage.source is None else self.records.load(stage.source)
            if stage.source is not None and source is None:
                failed[stage.id] = self.failed.get(stage.source, "its teacher's record is damaged")
                continue
            ready.append(stage)
            sources.append(source)
        self._fail(failed)
        return ready, sources

    def _windows(self, cell: Cell) -> GroupWindows:
        if cell.stimuli not in self.windows:
            self.windows[cell.stimuli] = GroupWindows(self.corpus, self.job, cell.stimuli)
        return self.windows[cell.stimuli]

    def _commit(
        self, stages: Sequence[Stage], results: Sequence[StageRecord | TrainingError]
    ) -> None:
        committed, failed = [], {}
        for stage, result in zip(stages, results, strict=True):
            if isinstance(result, TrainingError):
                failed[stage.id] = result.message
                continue
            if self.ranks.index == 0:
                self.records.commit(result)
            committed.append(stage.id)
        self.ranks.wait()
        self.listen(StagesDone(lane=self.lane.index, committed=tuple(committed)))
        self._fail(failed)

    def _fail(self, failed: dict[str, str]) -> None:
        if failed:
            self.failed |= failed
            self.listen(StagesDone(lane=self.lane.index, failed=failed))

    def _teller(self, work: PackWork) -> Callable[[Pack], None]:
        stage = work.stages[0]
        words = f"{work.cells[0].stimulus} {stage.role} {'+'.join(stage.modalities)}"

        def tell(pack: Pack) -> None:
            last = pack.num_epochs
            judged = [m.validation[-1] for m in pack.members if len(m.validation) == last]
            self.listen(
                EpochDone(
                    lane=self.lane.index,
                    pack=words,
                    role=stage.role,
                    objective=stage.objective,
                    epoch=last,
                    epochs=pack.stage.epochs,
                    live=len(pack.live),
                    members=len(pack.members),
                    validation_loss=fmean(judged) if judged else None,
                )
            )

        return tell
