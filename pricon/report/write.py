"""Writes a report into the folder of its run: pages, tables, results.json and Parquet files."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pricon.plan.plan import UNTOUCHED, Plan
from pricon.report.document import to_json, trial_columns
from pricon.report.embeddings import EmbeddingMap
from pricon.report.latex import latex
from pricon.report.markdown import markdown
from pricon.report.results import TrialResult
from pricon.report.statistics import summarise
from pricon.report.summary import Report
from pricon.spec.statistics import PLAIN, StatisticsSpec
from pricon.storage import Storage

REPORT = "report.md"
PAGE = "report.html"
LATEX = "report.tex"
RESULTS = "results.json"
TRIALS = "trials.parquet"
PREDICTIONS = "predictions.parquet"
FIGURES = "figures"
"""A folder: each figure of the page as an SVG file."""

_WORD = pa.dictionary(pa.int32(), pa.string())


def write_report(
    storage: Storage,
    plan: Plan,
    results: Sequence[TrialResult],
    notes: Mapping[str, str],
    spec: StatisticsSpec = PLAIN,
    maps: Sequence[EmbeddingMap] = (),
) -> Report:
    """Writes six files and the figures, results.json last, and returns what they say.

    The same plan, results and notes write the same bytes.

    Args:
        storage: the run's folder.
        plan: what was to run.
        results: what became of it; trials without a result count as missing.
        notes: label -> sentence for the pages, such as how features were standardised.
        spec: numbers of the job that the statistics need.
        maps: of embeddings.

    Raises:
        PlanError: a result does not fit the plan (see `statistics.summarise`).
        StorageError: the store did not take a file.
    """
    # These import matplotlib, which a submission need not wait for.
    from pricon.report.drawings import draw
    from pricon.report.page import page

    report = summarise(plan, results, spec)
    storage.write(REPORT, markdown(report, notes).encode())
    drawings = draw(report, maps)
    _write_figures(storage.child(FIGURES), drawings.files())
    storage.write(PAGE, page(report, notes, drawings).encode())
    storage.write(LATEX, latex(report).encode())
    storage.write(TRIALS, _parquet(_trials(report)))
    storage.write(PREDICTIONS, _parquet(_predictions(report)))
    storage.write(RESULTS, to_json(report))
    return report


def _write_figures(folder: Storage, files: Mapping[str, bytes]) -> None:
    """Those of an earlier report that this one does not have are gone afterwards."""
    for name in {*folder.list()} - files.keys():
        folder.delete(name)
    for name, figure in files.items():
        folder.write(name, figure)


def _trials(report: Report) -> pa.Table:
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("trial_id", "arm", "modality")),
            *((name, pa.float64()) for name in UNTOUCHED.to_dict()),
            *((name, pa.string()) for name in ("stimulus", "affect")),
            *((name, pa.int64()) for name in ("fold", "seed")),
            *((name, pa.string()) for name in ("status", "error")),
            ("num_windows", pa.int64()),
            *((name, pa.float64()) for name in report.yardstick.metrics),
        ]
    )
    rows = [trial_columns(row, report.yardstick) for row in report.trials]
    return pa.Table.from_pylist(rows, schema=schema)


def _predictions(report: Report) -> pa.Table:
    """One row a window of every finished trial: of those that judge it."""
    schema = pa.schema(
        [
            *((name, _WORD) for name in ("trial_id", "arm", "modality", "stimulus", "affect")),
            *((name, pa.int64()) for name in ("fold", "seed", "window")),
            *((name, _WORD) for name in ("participant", "session")),
            ("t_start_s", pa.float64()),
            ("label", pa.int8() if report.task == "classification" else pa.float32()),
            (report.yardstick.said, pa.float32()),
        ]
    )
    tables = [
        _predictions_of(row.result, schema) for row in report.trials if row.metrics is not None
    ]
    return pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries()


def _predictions_of(result: TrialResult, schema: pa.Schema) -> pa.Table:
    trial, cell, seen = result.trial, result.cell, result.predictions
    assert seen is not None
    same = {
        "trial_id": trial.id,
        "arm": trial.arm,
        "modality": trial.modality,
        "stimulus": cell.stimulus,
        "affect": cell.affect,
        "fold": cell.fold,
        "seed": cell.seed,
    }
    columns = {name: np.full(seen.window.size, value) for name, value in same.items()}
    columns |= {
        field.name: getattr(seen, field.name) for field in schema if field.name not in columns
    }
    arrays = [pa.array(columns[field.name].tolist(), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
