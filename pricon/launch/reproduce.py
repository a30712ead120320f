"""A recorded run once more, from its beginning, and how far it lands from the record."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pricon.corpus.ensure import open_built
from pricon.corpus.reader import Corpus
from pricon.errors import PlanError
from pricon.launch.compare import Reproduction, check_tolerance, compare
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.recorded import Recorded, contents_of, read_recorded
from pricon.launch.submit import View, run, run_storage
from pricon.plan.plan import Plan
from pricon.spec.resources import Target
from pricon.storage import Storage
from pricon.track.open import no_tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A recorded run, ready to be done again.

    Args:
        recorded: the record.
        corpus: what it read.
        prepared: its job, with results elsewhere.
    """

    recorded: Recorded
    corpus: Corpus
    prepared: Prepared

    @property
    def folds(self) -> tuple[int, ...] | None:
        """Folds that ran; None for all."""
        return _folds_of(self.recorded.plan)

    def compare(self, errors: dict[str, str | None], tolerance: float) -> Reproduction:
        """How what was found elsewhere differs from the record; see `compare`."""
        plan = self.recorded.plan
        found = contents_of(run_storage(self.prepared.job, plan), plan)
        return compare(self.recorded, found, errors, tolerance)


def reproduce(
    recorded: Storage,
    folder: Path,
    target: Target | None,
    tolerance: float,
    view: Callable[[Prepared], View],
) -> Reproduction:
    """Train everything again and compare every prediction and every number of the tables.

    Args:
        recorded: folder of the run.
        folder: where to run; an empty folder, so that nothing finished is taken over.
        target: where to run instead of where the job says.
        tolerance: largest difference of predictions that counts as none, in [0, 1): of
            probabilities, or in the unit of the annotation.
        view: shows progress.

    Raises:
        SpecError: the tolerance is none.
        CorpusError, PlanError: see `prepare_again`.
    """
    check_tolerance(tolerance)
    again = prepare_again(recorded, folder, target)
    report = run(again.prepared, again.corpus, no_tracker(), view(again.prepared))
    errors = {result.trial.id: result.error for result in report.unfinished}
    return again.compare(errors, tolerance)


def prepare_again(recorded: Storage, folder: Path, target: Target | None) -> Again:
    """A recorded run, checked to be still the same.

    Args:
        recorded: folder of the run.
        folder: where results are to be.
        target: where to run instead of where the job says.

    Raises:
        CorpusError: there is no run, it is damaged, or its corpus is gone.
        PlanError: job, corpus or science have changed since, so this would be another run.
    """
    before = read_recorded(recorded)
    update: dict[str, object] = {"output": str(folder)}
    job = before.job.model_copy(update=update | ({} if target is None else {"target": target}))
    corpus = open_built(job.corpus, job.storage)
    prepared = prepare(job, corpus, _folds_of(before.plan))
    _check_same(before.plan, prepared.plan)
    return Again(recorded=before, corpus=corpus, prepared=prepared)


def _folds_of(plan: Plan) -> tuple[int, ...] | None:
    return None if plan.is_whole else tuple(sorted({cell.fold for cell in plan.cells}))


def _check_same(before: Plan, now: Plan) -> None:
    if before.run_id == now.run_id:
        return
    changed = (
        f"the corpus: its digest was {before.corpus_digest[:16]}, is {now.corpus_digest[:16]}"
        if before.corpus_digest != now.corpus_digest
        else "`job.yaml` of the run, or what this pricon computes"
    )
    raise PlanError(
        f"run {before.run_id} cannot be reproduced: it would be run {now.run_id} now\n"
        f"  changed since: {changed}",
        "use the job and corpus of the run, and the commit that its `environment.json` names",
    )
