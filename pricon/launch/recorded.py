"""What the folder of a finished run holds, read to be compared."""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricon.errors import CorpusError
from pricon.plan.plan import Plan
from pricon.report.write import PREDICTIONS, RESULTS
from pricon.report.yardstick import YARDSTICKS
from pricon.spec.job import JobSpec
from pricon.spec.load import parse_job
from pricon.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a run found.

    Args:
        predictions: of each trial, by its id.
        results: results.json.
    """

    predictions: "dict[str, Predicted]"
    results: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run as its folder has it.

    Args:
        job: as it was submitted.
        plan: what ran.
        contents: what it found.
    """

    job: JobSpec
    plan: Plan
    contents: Contents

    @property
    def num_missing(self) -> int:
        """Trials that have not finished."""
        return sum(trial.id not in self.contents.predictions for trial in self.plan.trials)


@dataclass(frozen=True, slots=True)
class Predicted:
    """One trial's windows in their order.

    Args:
        said: what was predicted, shape (windows,).
        others: all else, a row a window.
    """

    said: NDArray[np.float64]
    others: pa.Table


def read_recorded(folder: Storage) -> Recorded:
    """The run in a folder.

    Raises:
        CorpusError: there is none, or it is damaged.
    """
    names = ("job.yaml", "plan.json", PREDICTIONS, RESULTS)
    missing = [name for name in names if not folder.exists(name)]
    if missing:
        raise CorpusError(
            f"{folder.uri} is not the folder of a finished run: it has no `{missing[0]}`",
            "give the folder `<output>/<job>/<run id>`, which holds the report",
        )
    try:
        plan = Plan.from_json(folder.read("plan.json"))
        contents = contents_of(folder, plan)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as err:
        raise CorpusError(
            f"the run in {folder.uri} is damaged\n  {str(err).splitlines()[0]}",
            "fetch it again, or submit its job, which writes the report anew",
        ) from err
    job = parse_job(folder.read("job.yaml").decode(), f"{folder.uri}/job.yaml")
    return Recorded(job=job, plan=plan, contents=contents)


def contents_of(folder: Storage, plan: Plan) -> Contents:
    """Predictions and tables of a run, whose plan is known.

    Raises:
        CorpusError: they are not there.
        ArrowException, KeyError, TypeError, ValueError: they are damaged.
    """
    table = pq.read_table(io.BytesIO(folder.read(PREDICTIONS)))
    words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    for name in words:
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    table = table.sort_by([("trial_id", "ascending"), ("window", "ascending")])
    names, starts = np.unique(np.array(table["trial_id"].to_pylist(), str), return_index=True)
    ends = [*starts.tolist(), table.num_rows][1:]
    column = YARDSTICKS[plan.task].said
    said = table[column].to_numpy().astype(np.float64)
    others = table.drop_columns([column])
    predictions = {
        name: Predicted(said[start:end], others.slice(start, end - start))
        for name, start, end in zip(names.tolist(), starts.tolist(), ends, strict=True)
    }
    return Contents(predictions=predictions, results=json.loads(folder.read(RESULTS)))
