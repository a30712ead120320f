from dataclasses import replace

from pricon.report.results import Curve, TrialResult
from pricon.report.training import curves_by_kind, still_improving
from tests.report.grids import Grid, always, make_run


def curve(stage_id: str, *losses: float, stage: str = "student") -> Curve:
    best = losses.index(min(losses))
    return Curve(
        stage=stage,
        stage_id=stage_id,
        values={"training_loss": losses, "validation_loss": losses},
        best_epoch=best,
    )


def trained(*curves: tuple[Curve, ...]) -> list[TrialResult]:
    """One result of e2e for each chain."""
    _, results = make_run(Grid(arms={"e2e": always(1)}))
    return [replace(result, curves=chain) for result, chain in zip(results, curves, strict=False)]


def test_a_shared_stage_counts_once() -> None:
    teacher = curve("t", 2, 1, stage="teacher")
    kinds = curves_by_kind(trained((teacher, curve("a", 1)), (teacher, curve("b", 1))))
    assert {kind: [c.stage_id for c in curves] for kind, curves in kinds.items()} == {
        "e2e teacher": ["t"],
        "e2e student": ["a", "b"],
    }


def test_stages_that_ran_out_of_epochs_are_counted() -> None:
    results = trained((curve("a", 3, 2, 1),), (curve("b", 3, 1, 2),), (curve("c", 1),))
    assert still_improving(results) == [
        "2 of 3 stages `e2e student` were still improving when their epochs ran out"
    ]
    assert still_improving(trained((curve("b", 3, 1, 2),))) == []
    assert still_improving(trained(())) == []
