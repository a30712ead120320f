"""Writes a report into the folder of its run: pages, tables, results.json and Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

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

_ROWS_AT_ONCE = 1 << 20
"""Of predictions in memory while they are written: a large run has a thousand times as many."""


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
    _write_predictions(storage, report)
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


def _write_predictions(storage: Storage, report: Report) -> None:
    """One row a window of every finished trial: of those that judge it."""
    schema = _schema_of_predictions(report)
    with TemporaryDirectory(prefix="pricon-") as folder:
        file = Path(folder, PREDICTIONS)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for tables in _some_at_a_time(report, schema):
                together = pa.concat_tables([schema.empty_table(), *tables])
                writer.write_table(together.unify_dictionaries())
        storage.upload(PREDICTIONS, file)


def _some_at_a_time(report: Report, schema: pa.Schema) -> Iterator[list[pa.Table]]:
    """Predictions of so many trials that they are enough for a row group; the rest at the end."""
    tables: list[pa.Table] = []
    num = 0
    for row in report.trials:
        if row.metrics is None:
            continue
        tables.append(_predictions_of(row.result, schema))
        num += row.metrics.num_windows
        if num >= _ROWS_AT_ONCE:
            yield tables
            tables, num = [], 0
    yield tables


def _schema_of_predictions(report: Report) -> pa.Schema:
    return pa.schema(
        [
            *((name, _WORD) for name in ("trial_id", "arm", "modality", "stimulus", "affect")),
            *((name, pa.int64()) for name in ("fold", "seed", "window")),
            *((name, _WORD) for name in ("participant", "session")),
            ("t_start_s", pa.float64()),
            ("label", pa.int8() if report.task == "classification" else pa.float32()),
            (report.yardstick.said, pa.float32()),
        ]
    )


def _predictions_of(result: TrialResult, schema: pa.Schema) -> pa.Table:
    trial, cell, seen = result.trial, result.cell, result.predictions
    assert seen is not None
    same: dict[str, str | int] = {
        "trial_id": trial.id,
        "arm": trial.arm,
        "modality": trial.modality,
        "stimulus": cell.stimulus,
        "affect": cell.affect,
        "fold": cell.fold,
        "seed": cell.seed,
    }
    num = seen.window.size
    arrays = [
        _repeated(same[field.name], num, field.type)
        if field.name in same
        else _array(getattr(seen, field.name), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: NDArray[Any], kind: pa.DataType) -> Any:
    """An Arrow array of these; words by numbers, in the order in which they come."""
    return pa.array(values).dictionary_encode() if kind == _WORD else pa.array(values, kind)


def _repeated(value: str | int, num: int, kind: pa.DataType) -> Any:
    """An Arrow array of one value so many times."""
    if kind != _WORD:
        return pa.array(np.full(num, value), kind)
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(num, np.int32)), pa.array([value]))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
