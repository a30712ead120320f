"""A whole cross-validation on one GPU: pricon in one process, and a plain loop.

    python -m tests.benchmarks.gpu [--quick] [--device cuda]

That of `cross_validation.py`. Needs torch, and nothing of Ray or MLflow. The loop gets one cell a
round and is extrapolated.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tests.benchmarks.cross_validation import ROUNDS, plain
from tests.benchmarks.table import Table, publish
from tests.benchmarks.world import CPU, FULL, QUICK, Size, World

CONTESTANTS = (
    "pricon, one process",
    "plain loop, stages shared as in pricon",
    "plain loop, every trial for itself",
)


def compare(size: Size, device: torch.device, rounds: int) -> Table:
    """Seconds of a whole cross-validation, medians of rounds in turns after a warm one."""
    world = World(size, device)
    taken: list[tuple[float, float, float]] = []
    for turn in range(rounds + 1):
        started = time.perf_counter()
        world.train(world.plan.lanes[0])  # ends with records in the host's memory
        ours = time.perf_counter() - started
        loop = plain(world, turn * (size.seeds + 1) % len(world.plan.cells), threads=1)
        taken.append((ours, loop["all"], loop["alone"]))
    seconds = [statistics.median(one) for one in zip(*taken[1:], strict=True)]
    trials, cells = len(world.plan.trials), len(world.plan.cells)
    return Table(
        name="gpu",
        title=f"A cross-validation on {_name(device)}: {trials} trials, {size.epochs} epochs",
        columns=("", "seconds", "times pricon"),
        rows=[(who, s, s / seconds[0]) for who, s in zip(CONTESTANTS, seconds, strict=True)],
        notes=(
            f"Medians of {rounds} rounds; the loop is extrapolated from a cell of {cells} a round.",
            f"Losses are those of this machine's CPU to {largest_difference(device):.1g}.",
            "Target: 50 times, on one H100.",
        ),
    )


def largest_difference(device: torch.device) -> float:
    """Of training losses in any epoch, between a small cross-validation there and on the CPU."""
    curves = []
    for where in (device, CPU):
        world = World(replace(QUICK, lanes=1), where)
        world.train(world.plan.lanes[0])
        found = [world.records[stage.id].facts.curves for stage in world.plan.stages]
        curves.append(np.concatenate([one.get("training_loss", ()) for one in found]))
    assert curves[0].size
    return float(np.abs(curves[0] - curves[1]).max())


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "this machine's CPU"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or say that there is nothing to measure on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, for tests")
    parser.add_argument("--device", default="cuda")
    asked = parser.parse_args(arguments)
    device = torch.device(asked.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        publish(
            Table(
                name="gpu",
                title="A cross-validation on a GPU",
                columns=("", "seconds", "times pricon"),
                rows=[(who, None, None) for who in CONTESTANTS],
                notes=("no GPU here",),
            )
        )
        return
    size = replace(QUICK if asked.quick else FULL, lanes=1)
    publish(compare(size, device, rounds=1 if asked.quick else ROUNDS))


if __name__ == "__main__":
    main()
