"""How training went: curves by kind of stage, and which stages ran out of epochs."""

from collections.abc import Iterable

from pricon.report.results import Curve, TrialResult


def curves_by_kind(results: Iterable[TrialResult]) -> dict[str, list[Curve]]:
    """Curves of every stage once, by arm and role such as `pricon teacher`.

    A stage that arms share stands under the first of them.
    """
    kinds: dict[str, list[Curve]] = {}
    seen: set[str] = set()
    for result in results:
        for curve in result.curves:
            if curve.stage_id not in seen:
                seen.add(curve.stage_id)
                kinds.setdefault(f"{result.trial.arm} {curve.stage}", []).append(curve)
    return kinds


def still_improving(results: Iterable[TrialResult]) -> list[str]:
    """A sentence for each kind of stage of which some were best in their last epoch.

    Early stopping did not end these: more epochs might have made them better.
    """
    sentences = []
    for kind, curves in curves_by_kind(results).items():
        last = sum(curve.best_epoch == len(curve.values["validation_loss"]) - 1 for curve in curves)
        if last:
            sentences.append(
                f"{last} of {len(curves)} stages `{kind}` were still improving when their epochs "
                "ran out"
            )
    return sentences
