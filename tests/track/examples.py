"""Results with curves, as a trial of two stages leaves them."""

from dataclasses import replace

from pricon.report.results import Curve, TrialResult
from pricon.track.records import Dataset, RunRecord
from tests.report.grids import Grid, always, make_run


def make_results(num_folds: int = 2, num_epochs: int = 4) -> list[TrialResult]:
    """Arms e2e and pricon, one seed."""
    grid = Grid(arms={"e2e": always(2), "pricon": always(1)}, num_folds=num_folds, seeds=(0,))
    _, results = make_run(grid)
    losses = tuple(1 / (epoch + 1) for epoch in range(num_epochs))
    curves = tuple(
        Curve(
            stage=stage,
            stage_id=f"{stage}0",
            values={"training_loss": losses, "validation_loss": losses},
            best_epoch=num_epochs - 1,
        )
        for stage in ("teacher", "student")
    )
    return [replace(result, curves=curves) for result in results]


def make_run_record(job_name: str = "again-tiny", run_id: str = "run0") -> RunRecord:
    return RunRecord(
        job_name=job_name,
        run_id=run_id,
        params={"student.encoder.width": 96, "resources.lanes": 1},
        tags={"pricon.git_commit": "0123abc", "pricon.corpus_digest": "c" * 64},
        artifacts={"job.yaml": b"name: again-tiny\n", "plan.json": b"{}"},
        dataset=make_dataset(),
    )


def make_dataset(uri: str = "s3://affect/again") -> Dataset:
    return Dataset(
        name="again",
        uri=uri,
        digest="c" * 64,
        shapes={"frames": (1, 62), "telemetry": (12, 41)},
        counts={"windows": 720, "sessions": 9, "participants": 3},
    )
