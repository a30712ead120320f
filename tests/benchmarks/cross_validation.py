"""A whole cross-validation of RECOLA's shape, as packs and as it is usually done.

    python -m tests.benchmarks.cross_validation [--quick]

23 people, 17,000 windows, audio, video and physiology (131, 41 and 116 features) each in turn
available; five folds, five seeds, every arm that reads features. Every stage trains for equally
many epochs, with early stopping out of reach, so that everybody does the same work. pricon works
through the plan in two lanes, processes of one thread each; the plain loop (`plain.py`) gets the
same two cores, with one and with two threads in every round, and the better of the two counts;
and two plain loops of one thread run at once, each with a cell of its own. Rounds take turns, and
each has cells of another fold.

That both compute the same is checked first: from equal initial weights, batches and dropout masks.
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
from tests.benchmarks.world import FULL, QUICK, WIDTHS, Size, World, kind_of

Seconds = Mapping[str, float]
"""By kind of stage; `all` is the wall time of a whole cross-validation."""

ROUNDS = 3
"""Counted ones. Contestants without packs train another cell in each, and are extrapolated."""

ENSEMBLE = 32
"""Members of an ensemble of `torch.func`; more are not faster."""

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


def ensemble(world: World, number: int, threads: int) -> Seconds:
    """The students of the cross-validation as ensembles of the size of a lane's pack of a cell."""
    cells = [Cell.of(world, number)]
    steps = -(-min(len(cell.train) for cell in cells) // world.job.optimisation.batch_size)
    steps *= world.job.optimisation.supervised.epochs
    seconds = 0.0
    for name in WIDTHS:
        students = [s for s in world.plan.stages if s.role == "student" and s.modalities == (name,)]
        one = seconds_a_member_step(world, cells, name, min(ENSEMBLE, len(students)), threads)
        seconds += one * steps * len(students)
    return {"students": seconds}


def largest_differences(world: World) -> tuple[float, float]:
    """Between packs of two cells and plain models fed with the same numbers.

    Of losses in any epoch; and of the weights of the best epoch, relative, of a model as a whole.
    One member of each kind and set of modalities is looked at, probes apart. Weights drift: Adam
    makes much of a gradient that is little more than rounding.
    """
    first = world.plan.lanes[0]
    cells = sorted({stage.cell for stage in world.plan.stages_of(first)})[:2]
    found = [(0.0, 0.0)]
    for pack in packs_of(world.plan, first, members_at_most(world.job)):  # sources come first
        some = tuple(stage for stage in pack if stage.cell in cells)
        records = world.train_pack(some)
        if kind_of(some[-1]) not in ("random encoders", "probes"):
            curve = records[-1].facts.curves["training_loss"]
            found.append(_differences(world, some[-1], curve))
    return max(loss for loss, _ in found), max(weights for _, weights in found)


def _differences(world: World, stage: Stage, curve: tuple[float, ...]) -> tuple[float, float]:
    work = world.work((stage,))
    recipe = recipe_for(work)
    examples = examples_of(work, recipe)
    width, spec = work.encoder.width, world.job.student.distillation
    is_contrastive = stage.objective == "contrastive"
    model = Model(dict(recipe.layout.widths), width, 0 if is_contrastive else 2, 0.0)
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


def in_turns(world: World, rounds: int) -> tuple[list[Seconds], dict[int, list[Seconds]]]:
    """Seconds of what has lanes, and of the rest by their threads, in all rounds but a warm one."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in range(world.size.lanes):
        ours, theirs = context.Pipe()
        context.Process(target=lane, args=(world.size, number, theirs), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    lanes: list[Seconds] = []
    others: dict[int, list[Seconds]] = {threads: [] for threads in world.size.threads}
    for turn in range(rounds + 1):
        # As many seeds and one more: of another fold each time.
        number, other = (
            n * (world.size.seeds + 1) % len(world.plan.cells) for n in (turn, turn + 1)
        )
        lanes.append({**packed(pipes), "plain": plain_at_once(pipes, [number, other])})
        for threads, own in others.items():
            students = ensemble(world, number, threads)["students"]
            own.append({**plain(world, number, threads), "ensembles": students})
    for pipe in pipes:
        pipe.send("stop")
    return lanes[1:], {threads: own[1:] for threads, own in others.items()}


def _medians(rounds: list[Seconds]) -> Seconds:
    return {kind: statistics.median(one[kind] for one in rounds) for kind in rounds[0]}


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
    lanes, others = in_turns(world, rounds=1 if is_quick else ROUNDS)
    medians = {number: _medians(rounds) for number, rounds in others.items()}
    threads = min(medians, key=lambda number: medians[number]["all"])
    ours, loop = _medians(lanes), medians[threads]
    loop = {**loop, "ensembles": min(one["ensembles"] for one in medians.values())}
    notes = (
        f"Extrapolated from a cell of {len(world.plan.cells)} a round: all but pricon.",
        f"Fed with the same numbers, losses differ by {losses:.1g} at most, weights by a share of "
        f"{weights:.1g}.",
        f"A lone plain loop has {threads} of {world.size.threads[-1]} threads, the better number.",
        f"Medians of {len(lanes)} rounds; seconds in them: pricon {_range(lanes)}, the plain loop "
        f"{_range(others[threads])}.",
        "Ray: two runs at once; what an empty one takes, and the plain loop's seconds.",
    )
    _publish_whole(world, ours, loop, runs, notes)
    _publish_kinds(ours, loop)


def _range(rounds: list[Seconds]) -> str:
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
        ("one Ray Train run a trial", None if run is None else (run * trials + loop["alone"]) / 2),
        ("pricon on one H100", None),
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


def _publish_kinds(ours: Seconds, loop: Seconds) -> None:
    pairs = [(kind, ours[kind], loop[kind]) for kind in KINDS]
    pairs.append(("students by torch.func", ours["students"], loop["ensembles"]))
    publish(
        Table(
            name="cross_validation_stages",
            title="The same by kind of stage: seconds on two cores",
            columns=("", "pricon", "plain loop", "times pricon"),
            rows=[(kind, we, they, they / we) for kind, we, they in pairs],
            notes=(
                "`torch.func`: ensembles of distilled students, without their validation; by the "
                "better number of threads.",
            ),
        )
    )


if __name__ == "__main__":
    main()
