"""Bulletins as people read them."""

from collections.abc import Mapping

from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    TrialBulletin,
    UsageBulletin,
)


def words_of(bulletin: Bulletin) -> str | None:
    """A bulletin as people read it; None: it is for the matrix alone."""
    match bulletin:
        case PlanBulletin(arms=arms, folds=folds, output=output):
            total = sum(sum(by_fold.values()) for by_fold in bulletin.trials.values())
            return (
                f"plan: {total} trials, {len(arms)} arms ({', '.join(arms)}) x {len(folds)} folds"
                f"   output={output}"
            )
        case TrialBulletin(stimulus=stimulus, fold=fold, seed=seed, error=error):
            why = f": {error}" if error else ""
            where = f"{bulletin.arm}, {stimulus}, fold {fold}, seed {seed}"
            return f"trial {bulletin.id} ({where}) {bulletin.status}{why}"
        case TrainingBulletin() | UsageBulletin(is_last=False):
            return None
        case UsageBulletin():
            return words_of_usage(bulletin)
        case ProgressBulletin(text=text):
            return text
        case ReportBulletin(text=text, uri=uri):
            return f"{text.rstrip()}\nreport   {uri}"
        case EndBulletin(message=message, cause=cause, exit_code=code):
            return message or f"ended: {cause} (exit code {code})"


def words_of_usage(used: UsageBulletin) -> str:
    """Hours and cost; below them, whose they were."""
    facts = [f"{_hours(used.pod_hours)} pod-hours"]
    if used.gpu_hours:
        facts.append(f"{_hours(used.gpu_hours)} GPU-hours")
    if used.cost is not None:
        facts.append(f"about {used.cost:.2f} {used.currency} (the profile's price, no head)")
    lines = [f"used     {', '.join(facts)}"]
    if shares := _shares(used):
        lines.append(f"{'':9}{words_of_shares(shares)}")
    return "\n".join(lines)


def words_of_shares(shares: Mapping[str, float]) -> str:
    """Whose how much is.

    >>> words_of_shares({"e2e": 0.25, "pricon": 0.75})
    'e2e 25%, pricon 75%'
    """
    return ", ".join(f"{whose} {share:.0%}" for whose, share in shares.items())


def _hours(hours: float) -> str:
    if hours < 0.01:
        return f"{hours:.1g}"
    return f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def _shares(used: UsageBulletin) -> dict[str, float]:
    """Of each arm, and of what comes beside training, such as starting workers."""
    hours = {arm: sum(folds.values()) for arm, folds in used.cells.items()}
    total = max(used.pod_hours, sum(hours.values()))  # parts are rounded more finely
    if not any(hours.values()):
        return {}
    hours["beside training"] = total - sum(hours.values())
    return {whose: taken / total for whose, taken in hours.items()}
