"""What MLflow adds to 600 trials that train as people do: the main job, two games, twelve seeds.

Whole submissions, from the command to the last record, in turns with and without tracking.
"""

import argparse
import resource
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pricon.spec.job import JobSpec
from pricon.spec.load import load_job
from tests.benchmarks.startup import submitted
from tests.benchmarks.table import Table, publish
from tests.safeguards.sources import ROOT
from tests.tiny import build

GAMES = ("tiny", "solid")
SEEDS = 12
"""Of five arms and five folds: 300 trials a game."""

LANES = {"a lane on each of two cores": 2, "one lane, a core left": 1}


def job_of(folder: Path, games: Sequence[str], seeds: int, participants: int) -> JobSpec:
    """The main job on fewer games, and so many seeds and people; its corpus built."""
    document = load_job(ROOT / "jobs" / "again_cv.yaml").model_dump(mode="json")
    corpus = document["corpus"]
    corpus |= {"uri": str(folder / "corpus"), "stimuli": list(games)}
    corpus["generate"] |= {"into": str(folder / "recordings"), "participants": participants}
    changes = {"seeds": [*range(seeds)], "output": str(folder / "runs")}
    return build(JobSpec.model_validate(document | changes))


def cost(job: JobSpec, trials: int, folder: Path, rounds: int) -> Table:
    """Seconds of wall and of CPU of whole submissions, medians, and what tracking adds."""
    jobs = {
        name: job.model_copy(update={"resources": job.resources.model_copy(update={"lanes": num})})
        for name, num in LANES.items()
    }
    taken: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for name, one in jobs.items():
            taken[name, "without MLflow"].append(_measured(one, folder, "--no-track"))
            taken[name, "with MLflow"].append(_measured(one, folder))
    median = {
        place: tuple(map(statistics.median, zip(*seconds, strict=True)))
        for place, seconds in taken.items()
    }
    shares = {
        name: 1 - median[name, "without MLflow"][0] / median[name, "with MLflow"][0]
        for name in jobs
    }
    return Table(
        name="tracking",
        title=f"{trials} trials of the main job, with {len(job.seeds)} seeds",
        columns=("", "wall s", "CPU s of driver and MLflow"),
        rows=[(f"{name}, {how}", *seconds) for (name, how), seconds in median.items()],
        notes=(
            *(f"{name}: tracking takes {share:.1%} of the wall" for name, share in shares.items()),
            f"target: at most 5 %; median of {rounds} rounds in turns",
        ),
    )


def _measured(job: JobSpec, folder: Path, *options: str) -> tuple[float, float]:
    """Seconds of wall, and of CPU of the driver and the processes that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = submitted(job, folder, *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, sum(after[:2]) - sum(before[:2])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small, once: for tests")
    is_quick = parser.parse_args(arguments).quick
    with TemporaryDirectory(prefix="pricon-bench-") as name:
        folder = Path(name)
        games, seeds = (GAMES[:1], 1) if is_quick else (GAMES, SEEDS)
        job = job_of(folder, games, seeds, 20 if is_quick else 80)
        trials = len(games) * seeds * len(job.arms) * job.folds.count
        publish(cost(job, trials, folder, 1 if is_quick else 3))


if __name__ == "__main__":
    main()
