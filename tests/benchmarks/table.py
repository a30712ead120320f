"""What every benchmark does alike: measure in turns, print a table, write it as JSON."""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Cell = str | float | int | None
"""None is "not measured" in print and null in JSON."""

OUT = Path("runs/bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One comparison.

    Args:
        name: of the JSON file.
        title: what is compared, and on what.
        columns: headings, the first of the contestants.
        rows: one a contestant.
        notes: what a reader must know to trust the numbers: extrapolated, not measured, missed.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: tuple[str, ...] = ()


def publish(table: Table) -> None:
    """Print `table`, and write it to `runs/bench/<name>.json`."""
    texts = [table.columns, *([_text(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "  ".join([text[0].ljust(widths[0]), *map(str.rjust, text[1:], widths[1:])])
        for text in texts
    ]
    sys.stdout.write("\n".join(["", table.title, *lines, *table.notes, ""]))
    sys.stdout.flush()
    OUT.mkdir(parents=True, exist_ok=True)
    document = json.dumps(asdict(table), indent=1) + "\n"
    (OUT / f"{table.name}.json").write_text(document, encoding="utf-8")


def in_turns(
    contestants: Mapping[str, Callable[[], object]], repeats: int = 3
) -> dict[str, list[float]]:
    """Seconds of each contestant in every round, one after the other, so that all meet the same
    machine; the first round warms up and is not counted."""
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, work in contestants.items():
            gc.collect()
            started = time.perf_counter()
            work()
            if turn:
                measured[name].append(time.perf_counter() - started)
    return measured


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median seconds of each contestant."""
    return {name: statistics.median(seconds) for name, seconds in measured.items()}


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return "not measured"
        case float():
            return f"{cell:.3g}" if abs(cell) < 100 else f"{cell:,.0f}"
        case int():
            return f"{cell:,}"
        case str():
            return cell
