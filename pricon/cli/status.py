"""How the status of a run looks on a terminal."""

from collections.abc import Iterable
from datetime import UTC, datetime

from pricon.launch.kubernetes.status import Status
from pricon.launch.words import words_of_usage


def words_of_status(status: Status) -> str:
    """Everything about a run, and its trials as a matrix."""
    lines = [f"run      {status.run}"]
    if status.job:
        lines.append(f"job      {status.job}")
    attempt = f", attempt {status.attempts}" if status.attempts > 1 else ""
    lines.append(f"state    {status.state}, submitted {ago(status.created)}{attempt}")
    if status.reason is not None:
        lines += _told("why", status.reason.sentence, status.reason.hint)
    if status.doing is not None:
        lines += _told("now", status.doing, None)
    if status.outcome is not None and status.outcome.exit_code:
        error = status.outcome.message or status.outcome.cause
        lines += _told("error", error, status.outcome.hint)
    if status.cells:
        trials = status.to_dict()["trials"]
        running = f", {trials['running']} of them running" if trials["running"] else ""
        lines.append(
            f"trials   {trials['done']} of {trials['total']} done, {trials['failed']} failed, "
            f"{trials['left']} left{running}"
        )
    if status.used is not None:
        lines.append(words_of_usage(status.used))
    if status.output is not None:
        lines.append(f"output   {status.output}")
    if status.cells:
        lines += ["", _matrix(status)]
    return "\n".join(lines)


def _told(what: str, sentence: str, hint: str | None) -> list[str]:
    return [f"{what:<9}{sentence}", *([f"         hint: {hint}"] if hint else [])]


def _matrix(status: Status) -> str:
    """Arms down, folds across: done of all, with what failed and what runs."""
    folds = sorted({cell.fold for cell in status.cells})
    rows: dict[str, list[str]] = {cell.arm: [cell.arm] for cell in status.cells}
    for cell in status.cells:
        counts = {"failed": cell.failed, "running": cell.running}
        more = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        rows[cell.arm].append(f"{cell.done}/{cell.total}" + (f" ({more})" if more else ""))
    return columns([["arm", *(f"fold {fold}" for fold in folds)], *rows.values()])


def columns(rows: Iterable[Iterable[str]]) -> str:
    """Rows of words, one below the other."""
    table = [[*row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def ago(time: str) -> str:
    """An RFC 3339 time as its distance from now.

    >>> ago("2000-01-01T00:00:00Z").endswith(" days ago")
    True
    """
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{max(seconds, 0)} seconds ago"
