"""The body of each worker of a lane: its stages, pack by pack, committed as they finish.

Works alike under Ray Train, under torchrun, and in the driver's own process.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch

from pricon.corpus.reader import open_corpus
from pricon.errors import CorpusError, StorageError, TrainingError
from pricon.launch.environment import environment
from pricon.launch.events import CheckpointKept, EpochDone, PackBegun, StagesDone, Tell
from pricon.launch.lanes import Assignment
from pricon.launch.leaving import leaving_folder
from pricon.plan.identity import identity
from pricon.plan.plan import POSITION, Cell, Lane, Plan, Role, Stage
from pricon.spec.job import JobSpec
from pricon.storage import Storage, open_storage
from pricon.stores.cache import open_cache
from pricon.train.checkpoint import Checkpoints
from pricon.train.memory import keep_freed_memory
from pricon.train.notice import Notice
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.reading import open_windows
from pricon.train.recipes import PackWork, Windows, encoder_of
from pricon.train.records import Records, StageRecord
from pricon.train.stages import count_majority, train_pack

_ORDER = ("majority", "teacher", "probe", "student")


def run_lane(assignment: Assignment, ranks: Ranks, device: torch.device, listen: Tell) -> None:
    """Train what the lane's unfinished trials need, in the order of their chains.

    Safe to call again after any interruption: committed stages are passed over, and a pack goes on
    from its newest checkpoint.

    Raises:
        CorpusError: features cannot be read; the packs that need others were trained all the same.
        StorageError: the store failed; trying again may help.
        TrainingError: the leakage guard refuses; nothing more is trained.
    """
    if device.type == "cpu":
        keep_freed_memory()
    worker = _Worker(assignment, ranks, device, listen)
    unreadable: CorpusError | None = None
    for pack in packs_of(assignment.plan, worker.lane, members_at_most(assignment.job)):
        try:
            worker.run(pack)
        except StorageError:
            raise
        except CorpusError as err:
            if ranks.size > 1:
                raise  # other ranks may have read it, and would wait for this one
            # Without its traceback, whose frames hold what the pack had in memory.
            unreadable = unreadable or err.with_traceback(None)
            worker.fail({stage.id: err.message.splitlines()[0] for stage in pack})
    if unreadable is not None:
        raise unreadable


def members_at_most(job: JobSpec) -> Callable[[Role], int]:
    """How many stages of a role fit into a pack: sequences take as much room as their frames."""

    def limit(role: Role) -> int:
        reads_frames = role != "probe" and encoder_of(job, role).reads_frames
        frames = job.corpus.windows.frames if reads_frames else 1
        return max(job.resources.pack_members // frames, 1)

    return limit


def packs_of(plan: Plan, lane: Lane, limit: Callable[[Role], int]) -> Iterator[tuple[Stage, ...]]:
    """Stages of a lane by stimuli, role, objective and modalities; teachers before students.

    Those of one cell stand side by side, because they can draw and read their batches together.

    Args:
        plan: what runs.
        lane: of the plan.
        limit: most members of a pack, by role.
    """
    kinds: dict[tuple[tuple[str, ...], int, str, tuple[str, ...]], list[Stage]] = {}
    for stage in plan.stages_of(lane):
        stimuli = plan.cells[stage.cell].stimuli
        kind = (stimuli, _ORDER.index(stage.role), stage.objective, stage.modalities)
        kinds.setdefault(kind, []).append(stage)
    for _, stages in sorted(kinds.items()):
        stages.sort(key=lambda stage: stage.cell)
        most = limit(stages[0].role)
        for start in range(0, len(stages), most):
            yield tuple(stages[start : start + most])


def checkpoints_of(pack: Sequence[Stage], output: Storage) -> Storage:
    """Where the checkpoints of a planned pack lie."""
    return output.child(f"checkpoints/{identity([stage.id for stage in pack])}")


class _Worker:
    """What stays the same from pack to pack."""

    def __init__(
        self, assignment: Assignment, ranks: Ranks, device: torch.device, listen: Tell
    ) -> None:
        self.job = assignment.job
        self.plan = assignment.plan
        (self.lane,) = self.plan.lanes
        self.ranks = ranks
        self.device = device
        self.listen = listen
        self.storage = open_storage(self.job.output, self.job.storage)
        self.records = Records(self.storage.child("stages"))
        uri = self.job.corpus.uri
        cache = open_cache(self.job.resources.cache, uri)
        self.corpus = open_corpus(open_storage(uri, self.job.storage), cache)
        self.failed: dict[str, str] = {}
        self.windows: dict[tuple[str, ...], Windows] = {}
        self.notice = Notice(leaving_folder(), ranks)
        self.made_with = {**environment(), "device": str(device)}
        self.needed = frozenset(ranks.agree(self._needed() if ranks.index == 0 else []))

    def _needed(self) -> list[str]:
        """Stages that some unfinished trial still waits for."""
        trials = self.plan.trials
        finished = self.records.verified({trial.stages[-1] for trial in trials})
        unfinished = [trial for trial in trials if trial.stages[-1] not in finished]
        there = self.records.verified({stage for t in unfinished for stage in t.stages[:-1]})
        needed: set[str] = set()
        for trial in unfinished:
            for stage_id in reversed(trial.stages):
                if stage_id in needed or stage_id in there:
                    break
                needed.add(stage_id)
        return sorted(needed)

    def run(self, planned: Sequence[Stage]) -> None:
        """One pack: what is still needed of it."""
        stages, sources = self._ready([stage for stage in planned if stage.id in self.needed])
        if not stages:
            if self.ranks.index == 0:  # a crash after the commit leaves checkpoints behind
                Checkpoints(checkpoints_of(planned, self.storage), [], 0.0).clear()
            return
        cells = [self.plan.cells[stage.cell] for stage in stages]
        if stages[0].role == "majority":
            windows = self._windows(cells[0])
            majorities = [
                count_majority(stage, cell, windows, self.made_with)
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
            made_with=self.made_with,
        )
        checkpoints = Checkpoints(
            checkpoints_of(planned, self.storage),
            [stage.id for stage in stages],
            self.job.resources.checkpoint_interval_s,
            self._tell_kept,
            self.notice,
        )
        ids = tuple(stage.id for stage in stages)
        self.listen(PackBegun(lane=self.lane.index, stages=ids))
        with self.notice.awaits():
            self._commit(stages, train_pack(work, checkpoints, self._teller(work)))
        if self.ranks.index == 0:
            checkpoints.clear()

    def _ready(self, stages: Sequence[Stage]) -> tuple[list[Stage], list[StageRecord | None]]:
        """Stages whose source is there, and that source; the others fail with it.

        Raises:
            StorageError: this rank cannot read a record that rank 0 has read.
        """
        named = {stage.source for stage in stages if stage.source is not None}
        found = self.records.load_all(named)  # a teacher once, however many students it has
        sources = [None if stage.source is None else found[stage.source] for stage in stages]
        lost = {
            stage.id: self.failed.get(stage.source or "", "its teacher's record is damaged")
            for stage, source in zip(stages, sources, strict=True)
            if stage.source is not None and source is None
        }
        agreed = self.ranks.agree(lost)
        if agreed.keys() != lost.keys():
            raise StorageError(
                f"rank {self.ranks.index} of lane {self.lane.index} sees other records than rank 0",
                "all workers of a lane must see the same storage",
            )
        self.fail(agreed)
        kept = [pair for pair in zip(stages, sources, strict=True) if pair[0].id not in agreed]
        return [stage for stage, _ in kept], [source for _, source in kept]

    def _windows(self, cell: Cell) -> Windows:
        if cell.stimuli not in self.windows:
            self.windows[cell.stimuli] = open_windows(
                self.corpus, self.job, cell.stimuli, self._modalities(cell.stimuli)
            )
        return self.windows[cell.stimuli]

    def _modalities(self, stimuli: tuple[str, ...]) -> tuple[str, ...]:
        """What the lane's unfinished stages on these stimuli will read."""
        stages = [
            stage
            for stage in self.plan.stages_of(self.lane)
            if stage.id in self.needed and self.plan.cells[stage.cell].stimuli == stimuli
        ]
        return tuple(sorted({name for one in stages for name in one.modalities} - {POSITION}))

    def _commit(
        self, stages: Sequence[Stage], results: Sequence[StageRecord | TrainingError]
    ) -> None:
        finished = [result for result in results if not isinstance(result, TrainingError)]
        if self.ranks.index == 0:
            self.records.commit_all(finished)
        self.ranks.wait()
        committed = tuple(record.facts.stage_id for record in finished)
        self.listen(StagesDone(lane=self.lane.index, committed=committed))
        self.fail(
            {
                stage.id: result.message
                for stage, result in zip(stages, results, strict=True)
                if isinstance(result, TrainingError)
            }
        )

    def fail(self, failed: dict[str, str]) -> None:
        """Stages that will not be trained in this run, and why."""
        if failed:
            self.failed |= failed
            self.listen(StagesDone(lane=self.lane.index, failed=failed))

    def _tell_kept(self, pack: Pack) -> None:
        lane, epoch, batches = self.lane.index, pack.num_epochs, pack.num_batches
        self.listen(CheckpointKept(lane=lane, epoch=epoch, batches=batches))

    def _teller(self, work: PackWork) -> Callable[[Pack], None]:
        stage = work.stages[0]
        words = f"{work.cells[0].stimulus} {stage.role} {'+'.join(stage.modalities)}"

        def tell(pack: Pack) -> None:
            last = pack.num_epochs
            judged = [
                member.validation[-1]
                for member in pack.members
                if len(member.validation) == last and member.failure is None
            ]
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
