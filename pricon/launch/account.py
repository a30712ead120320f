"""What a driver said so far, out of the lines of its log: plan, trials, report, end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Bulletin = dict[str, Any]
_MARK = '{"pricon": "'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Trials of one arm in one fold.

    Args:
        arm: of the trials.
        fold: of the trials.
        done: have their result.
        failed: failed for good.
        total: planned.
    """

    arm: str
    fold: int
    done: int
    failed: int
    total: int

    @property
    def left(self) -> int:
        """Trials that run, or wait for their turn."""
        return self.total - self.done - self.failed


@dataclass(slots=True)
class Account:
    """Takes in lines of a log. A new plan begins a new attempt: what was said before is void.

    Args:
        plan: the bulletin, or None before it.
        trials: the last bulletin of each trial, by its id.
        report: the bulletin, or None before it.
        end: the bulletin, or None before it.
    """

    plan: Bulletin | None = None
    trials: dict[str, Bulletin] = field(default_factory=dict)
    report: Bulletin | None = None
    end: Bulletin | None = None

    def take(self, line: str) -> Bulletin | None:
        """The bulletin in a line; None where it is ordinary text."""
        bulletin = bulletin_of(line)
        if bulletin is None:
            return None
        match bulletin:
            case {"pricon": "plan"}:
                self.plan = bulletin
                self.trials, self.report, self.end = {}, None, None
            case {"pricon": "trial", "id": trial}:
                self.trials[str(trial)] = bulletin
            case {"pricon": "report"}:
                self.report = bulletin
            case {"pricon": "end"}:
                self.end = bulletin
        return bulletin

    def cells(self) -> list[Cell]:
        """The matrix arm x fold, in the order of the plan; empty before it."""
        return [] if self.plan is None else [*self._cells(self.plan)]

    def _cells(self, plan: Bulletin) -> Iterator[Cell]:
        for arm in plan["arms"]:
            for fold in plan["folds"]:
                total = plan["trials"].get(arm, {}).get(str(fold), 0)
                said = [
                    trial["status"]
                    for trial in self.trials.values()
                    if (trial["arm"], trial["fold"]) == (arm, fold)
                ]
                done, failed = said.count("finished"), said.count("failed")
                yield Cell(arm=arm, fold=fold, done=done, failed=failed, total=total)


def bulletin_of(line: str) -> Bulletin | None:
    """The bulletin that a line is, or None.

    >>> bulletin_of('{"pricon": "progress", "text": "lane 0: epoch 3"}')["text"]
    'lane 0: epoch 3'
    """
    if not line.startswith(_MARK):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def words_of(bulletin: Bulletin) -> str:
    """A bulletin as people read it; a kind that is not known stays as it is."""
    match bulletin:
        case {"pricon": "plan", "arms": arms, "folds": folds, "trials": trials, "output": output}:
            total = sum(sum(by_fold.values()) for by_fold in trials.values())
            return (
                f"plan: {total} trials, {len(arms)} arms ({', '.join(arms)}) x {len(folds)} folds"
                f"   output={output}"
            )
        case {"pricon": "trial", "id": trial, "arm": arm, "fold": fold, "status": status}:
            error = bulletin.get("error")
            why = f": {error}" if error else ""
            return f"trial {trial} ({arm}, fold {fold}) {status}{why}"
        case {"pricon": "progress", "text": text}:
            return str(text)
        case {"pricon": "report", "text": text, "uri": uri}:
            return f"{text}\nreport   {uri}"
        case {"pricon": "end", "exit_code": code, "cause": cause}:
            said = bulletin.get("message") or f"ended: {cause} (exit code {code})"
            return str(said)
    return json.dumps(bulletin)
