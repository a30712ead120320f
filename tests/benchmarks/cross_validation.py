"""A whole cross-validation of RECOLA's shape, as packs and as it is usually done.

    python -m tests.benchmarks.cross_validation [--quick]

23 people, 17,000 windows, audio, video and physiology (131, 41 and 116 features) each in turn
available; five folds, five seeds, every arm that reads features. Every stage trains for equally
many epochs, with early stopping out of reach, so that everybody does the same work. pricon works
through the plan in two lanes, processes of one thread each; the plain loop (`plain.py`) gets the
same two cores, with one and with two threads in every round, and the better of the two counts;
and two plain loops of one thread run at once, each with a cell of its own. Rounds take turns, and
each has cells of another fold.

That both compute the same is checked first: from equal initial weights, batches and dropout masks,
which the timed loop draws for itself, its models and losses come to pricon's losses and weights.
"""

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from pricon.launch.worker import members_at_most, packs_of
from pricon.model.keyed import dropout_mask
from pricon.model.network import initial_parameters
from pricon.plan.plan import Stage
from pricon.train.memory import keep_freed_memory
from pricon.train.reading import examples_of
from pricon.train.recipes import recipe_for
from tests.benchmarks.ensemble import seconds_a_member_step
from tests.benchmarks.plain import Cell, Model, contrastive, distilled, supervised, train_stage
from tests.benchmarks.ray_runs import empty_runs
from tests.benchmarks.table import Table, publish
from tests.benchmarks.world import FULL, QUICK, Size, World, kind_of

Seconds = Mapping[str, float]
"""By kind of stage; `all` is the wall time of a whole cross-validation."""

ROUNDS = 3
"""Counted ones. Contestants without packs train another cell in each, and are extrapolated."""

KINDS = ("students", "supervised teachers", "probes", "contrastive teachers", "random encoders")


def lane(size: Size, number: int, pipe: Connection) -> None:
    """A process of its own: to `train` is the lane's whole plan, a number a plain loop's cell."""
    torch.set_num_threads(1)
    keep_freed_memory()
    world = World(size)
    pipe.send({})
    while (order := pipe.recv()) != "stop":
        if order == "train":
            pipe.send(world.train(world.plan.lanes[number]))
        else:
            pipe.send(plain(world, order, threads=1))


def packed(pipes: list[Connection]) -> Seconds:
    """One round of all lanes; a kind takes its mean over lanes, which work side by side."""
    started = time.perf_counter()
    for pipe in pipes:
        pipe.send("train")
    total: dict[str, float] = defaultdict(float)
    for pipe in pipes:
        for kind, seconds in pipe.recv().items():
            total[kind] += seconds / len(pipes)
    return {**total, "all": time.perf_counter() - started}


def plain(world: World, number: int, threads: int) -> Seconds:
    """Stages of a cell one after the other, as if of all; `alone`: each trial for itself."""
    cell = Cell.of(world, number)
    torch.set_num_threads(threads)
    total: dict[str, float] = defaultdict(float)
    by_stage = {}
    said: dict[str, Tensor] = {}
    for stage in world.plan.stages:
        if stage.cell == number:
            started = time.perf_counter()
            train_stage(world, cell, stage, said)
            by_stage[stage.id] = time.perf_counter() - started
            total[kind_of(stage)] += by_stage[stage.id]
    torch.set_num_threads(1)
    total["all"] = sum(total.values())
    trials = [trial for trial in world.plan.trials if trial.cell == number]
    total["alone"] = sum(by_stage[stage] for trial in trials for stage in trial.stages)
    return {kind: seconds * len(world.plan.cells) for kind, seconds in total.items()}


def plain_at_once(pipes: list[Connection], cells: list[int]) -> float:
    """A cell in each process, as if all cells were shared among them; seconds of the whole."""
    for pipe, cell in zip(pipes, cells, strict=True):
        pipe.send(cell)
    seconds: list[float] = [pipe.recv()["all"] for pipe in pipes]
    return statistics.mean(seconds) / len(pipes)


def ensembles(world: World, number: int, threads: int) -> Seconds:
    """All stages but the random encoders, those of one kind and modalities at once.

    Of one cell, as they have windows in common; a pack of pricon's holds those of all cells.
    """
    cell = Cell.of(world, number)
    alike: dict[tuple[str, tuple[str, ...]], list[Stage]] = defaultdict(list)
    for stage in world.plan.stages:
        alike[kind_of(stage), stage.modalities].append(stage)
    total: dict[str, float] = defaultdict(float)
    for (kind, _), stages in alike.items():
        if kind != "random encoders":
            # The last, as students without a teacher come first.
            one = seconds_a_member_step(world, cell, stages[-1], len(stages), threads)
            total[kind] += one * len(stages) * world.size.epochs
    steps = -(-len(cell.train) // world.job.optimisation.batch_size)
    total = {kind: seconds * steps for kind, seconds in total.items()}
    return {**total, "all": sum(total.values())}


def largest_differences(world: World) -> tuple[float, float]:
    """Between packs of two cells and plain models fed with the same numbers.

    Of losses in any epoch; and of the weights of the best epoch, relative, of a model as a whole.
    One member of each kind and set of modalities is looked at. Weights drift: Adam makes much of a
    gradient that is little more than rounding.
    """
    first = world.plan.lanes[0]
    cells = sorted({stage.cell for stage in world.plan.stages_of(first)})[:2]
    found = [(0.0, 0.0)]
    for pack in packs_of(world.plan, first, members_at_most(world.job)):  # sources come first
        some = tuple(stage for stage in pack if stage.cell in cells)
        records = world.train_pack(some)
        if kind_of(some[-1]) != "random encoders":
            curve = records[-1].facts.curves["training_loss"]
            found.append(_differences(world, some[-1], curve))
    return max(loss for loss, _ in found), max(weights for _, weights in found)


def _differences(world: World, stage: Stage, curve: tuple[float, ...]) -> tuple[float, float]:
    work = world.work((stage,))
    recipe = recipe_for(work)
    examples = examples_of(work, recipe)
    width, spec = work.encoder.width, world.job.student.distillation
    is_contrastive = stage.role == "teacher" and stage.objective == "contrastive"
    widths = {} if recipe.layout.is_probe else dict(recipe.layout.widths)
    model = Model(widths, width, 0 if is_contrastive else 2, 0.0)
    model.load(initial_parameters(recipe.layout, examples.keys)[0])
    adam = torch.optim.Adam(model.parameters(), lr=recipe.training.learning_rate)
    worst, after_each = 0.0, []
    for epoch in range(recipe.training.epochs):
        total = count = 0.0
        for batch in examples.training((0,), epoch):
            assert batch.dropout is not None
            drop = batch.dropout
            mask = dropout_mask(drop.keys, drop.windows, width, work.encoder.dropout)[0]
            scores = model({name: one[0] for name, one in batch.inputs.items()}, mask)
            labels, num = batch.labels[0], batch.labels.shape[1]
            if is_contrastive:
                loss = contrastive(scores, labels, world.job.teacher.contrastive.temperature)
            elif batch.teacher is None:
                loss = supervised(scores, labels)
            else:
                t = spec.temperature
                taught = (batch.teacher[0] / t).log_softmax(1)
                loss = distilled(scores, labels, taught, spec.weight, t)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            adam.step()
            total, count = total + loss.item() * num, count + num
        worst = max(worst, abs(total / count - curve[epoch]))
        after_each.append(model.parameters_as_a_row())
    record = world.records[stage.id]
    best = torch.from_numpy(record.arrays["parameters"])
    weights = after_each[record.facts.best_epoch or 0]
    return worst, ((weights - best).norm() / best.norm()).item()


Rounds = list[Seconds]
ByThreads = dict[int, Rounds]


def in_turns(world: World, rounds: int) -> tuple[Rounds, ByThreads, ByThreads]:
    """Seconds in all rounds but a warm one: of what has lanes, plain loops, and ensembles."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in range(world.size.lanes):
        ours, theirs = context.Pipe()
        context.Process(target=lane, args=(world.size, number, theirs), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    lanes: Rounds = []
    loops: ByThreads = {threads: [] for threads in world.size.threads}
    stacked: ByThreads = {threads: [] for threads in world.size.threads}
    for turn in range(rounds + 1):
        # As many seeds and one more: of another fold each time.
        number, other = (
            n * (world.size.seeds + 1) % len(world.plan.cells) for n in (turn, turn + 1)
        )
        lanes.append({**packed(pipes), "plain": plain_at_once(pipes, [number, other])})
        for threads in world.size.threads:
            loops[threads].append(plain(world, number, threads))
            stacked[threads].append(ensembles(world, number, threads))
    for pipe in pipes:
        pipe.send("stop")
    for measured in (lanes, *loops.values(), *stacked.values()):
        del measured[0]
    return lanes, loops, stacked


def _medians(rounds: Rounds) -> Seconds:
    return {kind: statistics.median(one[kind] for one in rounds) for kind in rounds[0]}


def _better(measured: ByThreads) -> int:  # number of threads
    return min(measured, key=lambda threads: _medians(measured[threads])["all"])


def main(arguments: list[str] | None = None) -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, for tests")
    is_quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    keep_freed_memory()
    world = World(QUICK if is_quick else FULL)
    losses, weights = largest_differences(world)
    assert losses < 1e-4, f"losses of packs and plain models differ by {losses}"
    assert weights < 0.01, f"weights of packs and plain models differ by {weights} of their length"
    runs = None if is_quick else statistics.median(empty_runs())
    lanes, loops, stacked = in_turns(world, rounds=1 if is_quick else ROUNDS)
    threads = _better(loops)
    ours, loop, vmapped = map(_medians, (lanes, loops[threads], stacked[_better(stacked)]))
    notes = (
        f"Extrapolated from a cell of {len(world.plan.cells)} a round: all but pricon.",
        f"Fed with the same numbers, losses differ by {losses:.1g} at most, weights by a share of "
        f"{weights:.1g}.",
        f"The lone plain loop and `torch.func` have as many threads of {world.size.threads[-1]} as "
        f"suits them better: {threads} and {_better(stacked)}.",
        f"Medians of {len(lanes)} rounds; seconds in them: pricon {_range(lanes)}, the plain loop "
        f"{_range(loops[threads])}.",
        "Ray: two runs at once; what an empty one takes, and the plain loop's seconds.",
        "`torch.func`: stages shared, those of one kind, modalities and cell at once; training "
        "steps alone.",
    )
    _publish_whole(world, {**ours, "vmapped": vmapped["all"]}, loop, runs, notes)
    _publish_kinds(ours, loop, vmapped)


def _range(rounds: Rounds) -> str:
    seconds = sorted(one["all"] for one in rounds)
    return f"{seconds[0]:.3g} to {seconds[-1]:.3g}"


def _publish_whole(
    world: World, ours: Seconds, loop: Seconds, run: float | None, notes: tuple[str, ...]
) -> None:
    trials, stages, epochs = len(world.plan.trials), len(world.plan.stages), world.size.epochs
    contestants = [
        ("pricon, two lanes of a thread", ours["all"]),
        ("plain loop, stages shared as in pricon", loop["all"]),
        ("two such loops at once, a thread each", ours["plain"]),
        ("plain loop, every trial for itself", loop["alone"]),
        ("`torch.func` ensembles", ours["vmapped"]),
        ("one Ray Train run a trial", None if run is None else (run * trials + loop["alone"]) / 2),
    ]
    publish(
        Table(
            name="cross_validation",
            title=f"A cross-validation: {trials} trials, {stages} stages of {epochs} epochs",
            columns=("", "seconds", "times pricon"),
            rows=[(name, s, None if s is None else s / ours["all"]) for name, s in contestants],
            notes=notes,
        )
    )


def _publish_kinds(ours: Seconds, loop: Seconds, vmapped: Seconds) -> None:
    rows = []
    for kind in KINDS:
        we, they, ensemble = ours[kind], loop[kind], vmapped.get(kind)
        times = None if ensemble is None else ensemble / we
        rows.append((kind, we, they, they / we, ensemble, times))
    publish(
        Table(
            name="cross_validation_stages",
            title="The same by kind of stage: seconds on two cores",
            columns=("", "pricon", "plain loop", "times pricon", "torch.func", "times pricon"),
            rows=rows,
        )
    )


if __name__ == "__main__":
    main()
