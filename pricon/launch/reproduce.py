"""A recorded run once more, from its beginning, and how far it lands from the record."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pricon.corpus.ensure import ensure_corpus
from pricon.errors import CorpusError, PlanError
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.submit import View, run, run_storage
from pricon.plan.plan import Plan, Trial
from pricon.report.write import PREDICTIONS
from pricon.spec.job import JobSpec
from pricon.spec.load import parse_job
from pricon.spec.resources import Target
from pricon.storage import Storage
from pricon.track.open import no_tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """How two runs of one job compare.

    Args:
        run_id: of both.
        num_trials: trials that both have finished.
        largest: largest difference between two probabilities of one window.
        off: a line for each trial that lies beyond the tolerance, or that only one run has.
    """

    run_id: str
    num_trials: int
    largest: float
    off: tuple[str, ...]


def reproduce(
    recorded: Storage,
    folder: Path,
    target: Target | None,
    tolerance: float,
    view: Callable[[Prepared], View],
) -> Reproduction:
    """Train everything again and compare every predicted probability.

    Args:
        recorded: folder of the run.
        folder: where to run; an empty folder, so that nothing finished is taken over.
        target: where to run instead of where the job says.
        tolerance: largest difference of probabilities that counts as none.
        view: shows progress.

    Raises:
        CorpusError: there is no run, or its corpus is gone.
        PlanError: corpus or science have changed since, so this would be another run.
    """
    job, plan = _read(recorded)
    update: dict[str, object] = {"output": str(folder)}
    job = job.model_copy(update=update | ({} if target is None else {"target": target}))
    corpus = ensure_corpus(job.corpus, job.storage)
    folds = None if plan.is_whole else tuple(sorted({cell.fold for cell in plan.cells}))
    prepared = prepare(job, corpus, folds)
    _check_same(plan, prepared.plan)
    run(prepared, corpus, no_tracker(), view(prepared))
    return _compare(plan, recorded, run_storage(job, plan), tolerance)


def _read(recorded: Storage) -> tuple[JobSpec, Plan]:
    names = ("job.yaml", "plan.json", PREDICTIONS)
    missing = [name for name in names if not recorded.exists(name)]
    if missing:
        raise CorpusError(
            f"{recorded.uri} is not the folder of a finished run: it has no `{missing[0]}`",
            "give the folder `<output>/<job>/<run id>`, which holds the report",
        )
    text = recorded.read("job.yaml").decode()
    job = parse_job(text, f"{recorded.uri}/job.yaml")
    return job, Plan.from_json(recorded.read("plan.json"))


def _check_same(before: Plan, now: Plan) -> None:
    if before.run_id == now.run_id:
        return
    changed = (
        f"the corpus: its digest was {before.corpus_digest[:16]}, is {now.corpus_digest[:16]}"
        if before.corpus_digest != now.corpus_digest
        else "what this pricon computes"
    )
    raise PlanError(
        f"run {before.run_id} cannot be reproduced: it would be run {now.run_id} now\n"
        f"  changed since: {changed}",
        "use the corpus and the commit that `environment.json` of the run names",
    )


def _compare(plan: Plan, before: Storage, after: Storage, tolerance: float) -> Reproduction:
    tables = [_predictions(storage) for storage in (before, after)]
    largest, off, num_trials = 0.0, [], 0
    for trial in plan.trials:
        one, other = (table.get(trial.id) for table in tables)
        if one is None or other is None:
            if one is not other:
                off.append(f"{_words(trial, plan)}: finished in one of the two runs only")
            continue
        num_trials += 1
        same = np.array_equal(one[0], other[0])
        difference = float(np.abs(one[1] - other[1]).max(initial=0)) if same else 1.0
        largest = max(largest, difference)
        if difference > tolerance:
            off.append(f"{_words(trial, plan)}: probabilities differ by {difference:.2g}")
    return Reproduction(run_id=plan.run_id, num_trials=num_trials, largest=largest, off=tuple(off))


def _words(trial: Trial, plan: Plan) -> str:
    return " ".join(filter(None, (trial.arm, trial.modality, str(plan.cells[trial.cell]))))


def _predictions(storage: Storage) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Trial -> windows and probabilities, in the order of the windows."""
    columns = ["trial_id", "window", "probability_high"]
    table = pq.read_table(io.BytesIO(storage.read(PREDICTIONS)), columns=columns)
    table = table.set_column(0, "trial_id", table["trial_id"].cast(pa.string()))
    table = table.sort_by([("trial_id", "ascending"), ("window", "ascending")])
    ids = np.array(table["trial_id"].to_pylist(), dtype=np.str_)
    windows, probabilities = (table[name].to_numpy() for name in columns[1:])
    names, starts = np.unique(ids, return_index=True)
    ends = [*starts[1:].tolist(), len(ids)]
    return {
        str(name): (windows[start:end], probabilities[start:end])
        for name, start, end in zip(names, starts.tolist(), ends, strict=True)
    }
