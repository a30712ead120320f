"""The contrastive loss at 1k to 64k windows a batch: time and peak memory, forward and backward.

    python -m tests.benchmarks.contrastive [--quick]

Ours, the same formula written so that autograd keeps every pair of windows, and `SupConLoss` of
pytorch-metric-learning get the same float32 rows, as wide as an encoder by default, two kinds, tau
= 0.1, on one thread. Losses and gradients are checked against ours in the same run.

Every measurement has a process of its own. Memory is what the kernel says it is: the peak of the
resident set during the first step, less the resident set just before it, when everything is
imported, warm and allocated. A count of tensors would miss what operations allocate inside.
Seconds are the processor's, of the one thread, so that neighbours on the machine count little;
contestants take turns, and medians are over all rounds. Whoever would need more than three quarters
of the memory that is free, by what the batch before says, is not measured.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pricon.model.keyed import key_of
from pricon.model.network import Layout, PackedNetwork, initial_parameters
from pricon.spec.training import ContrastiveSpec, EncoderSpec
from pricon.train.contrastive import supervised_contrastive
from pricon.train.examples import Batch
from pricon.train.objectives import Contrastive
from pricon.train.ranks import Ranks
from tests.benchmarks.table import Cell, Table, publish

WIDTH = EncoderSpec().width
TAU = ContrastiveSpec().temperature
OURS, DIRECT, PEER, STEP = "pricon", "direct", "SupConLoss", "step"
CONTESTANTS = (OURS, DIRECT, PEER)
SIZES = ((50, 256), *((1, 1024 * 2**power) for power in range(7)))
QUICK = ((5, 64), (1, 256))
LARGE = 32_768
"""Windows from which on a step takes long enough for one to do."""


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: `steps` times the loss of `members` batches of `windows`."""

    contestant: str
    members: int
    windows: int
    steps: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor seconds of each step, peak bytes of the first, and what came out."""

    seconds: list[float]
    peak: int
    loss: float
    gradient: list[float]


Measure = Callable[[Job], Measured]


def ours(rows: Tensor, labels: Tensor) -> Tensor:
    """Mean loss over anchors and members."""
    everything = torch.ones_like(labels, dtype=torch.bool)
    temperature = rows.new_full((len(rows),), TAU)
    totals = supervised_contrastive(
        rows, temperature, labels, everything, ContrastiveSpec(), Ranks()
    )
    return totals.mean() / labels.shape[1]


def direct(rows: Tensor, labels: Tensor) -> Tensor:
    """The same with every pair in memory: what a careful author writes first."""
    unit = functional.normalize(rows, dim=2)
    similarity = torch.bmm(unit, unit.transpose(1, 2)) / TAU
    itself = torch.eye(labels.shape[1], dtype=torch.bool, device=rows.device)
    positive = (labels[:, :, None] == labels[:, None, :]) & ~itself
    log_all = similarity.masked_fill(itself, -torch.inf).logsumexp(dim=2)
    attraction = similarity.masked_fill(~positive, 0.0).sum(dim=2) / positive.sum(dim=2)
    return (log_all - attraction).mean()


def peer(rows: Tensor, labels: Tensor) -> Tensor:
    """Member by member: it knows no packs."""
    from pytorch_metric_learning.losses import SupConLoss

    loss = SupConLoss(temperature=TAU)
    each = [loss(some, known) for some, known in zip(rows, labels, strict=True)]
    return torch.stack(each).mean()


def teacher_step(rows: Tensor, labels: Tensor) -> Tensor:
    """A network in front of the loss, as a teacher's pretraining has it; `rows` are features."""
    num = len(rows)
    layout = Layout(widths=(("player", rows.shape[2]),), encoder=EncoderSpec(), head="none")
    keys = torch.tensor([key_of("member", member) for member in range(num)])
    network = PackedNetwork(layout, initial_parameters(layout, keys))
    batch = Batch(
        number=0,
        members=torch.arange(num),
        inputs={"player": rows},
        labels=labels,
        valid=torch.ones_like(labels, dtype=torch.bool),
        first=0,
        teacher=None,
        dropout=None,
        has_windows=(True,) * num,
    )
    objective = Contrastive(ContrastiveSpec(), torch.full((num,), TAU), Ranks())
    loss = objective.training(network, batch)
    return (loss.total / loss.count).mean()


LOSSES = {OURS: ours, DIRECT: direct, PEER: peer, STEP: teacher_step}


def measure(job: Job) -> Measured:
    """In this process, whose peak of memory is forgotten first."""
    step(job.contestant, *_inputs(job.members, 64))
    rows, labels = _inputs(job.members, job.windows)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    seconds, peak = [], 0
    for turn in range(job.steps):
        started = time.process_time()
        loss = step(job.contestant, rows, labels)
        seconds.append(time.process_time() - started)
        peak = peak if turn else _resident("VmHWM") - before
    assert rows.grad is not None
    gradient = rows.grad[0, :4] * job.windows * job.members / job.steps
    return Measured(seconds, peak, loss, gradient.flatten().tolist())


def step(contestant: str, rows: Tensor, labels: Tensor) -> float:
    """Forward and backward; the mean loss, nats."""
    loss = LOSSES[contestant](rows, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def _inputs(members: int, windows: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(members, windows, WIDTH, generator=generator)
    labels = torch.randint(0, 2, (members, windows), generator=generator)
    return rows.requires_grad_(), labels


def _resident(field: str) -> int:
    """Bytes of the resident set, now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def in_process_of_its_own(job: Job) -> Measured:
    """`measure`, on one thread, in a process that has imported everything and done nothing."""
    fresh = get_context("forkserver")
    fresh.set_forkserver_preload(["pricon.train.objectives", "pytorch_metric_learning.losses"])
    with ProcessPoolExecutor(1, fresh, torch.set_num_threads, (1,)) as process:
        return process.submit(measure, job).result()


class Comparison:
    """Contestants in turns, size by size; what pairs of windows cost them says who goes on.

    Args:
        measure: in this process or another.
        limit: bytes that a step may need.
    """

    def __init__(self, measure: Measure, limit: int) -> None:
        self.measure = measure
        self.limit = limit
        self.notes: list[str] = []
        self._bytes_a_pair: dict[str, float] = {}

    def at(self, members: int, windows: int, rounds: int) -> dict[str, Measured]:
        """Whoever could be measured."""
        pairs = members * windows**2
        steps = 4 if pairs < 5e7 else 1
        jobs = [
            Job(name, members, windows, steps)
            for name in CONTESTANTS
            if self._can_run(name, windows, pairs)
        ]
        found: dict[str, list[Measured]] = {job.contestant: [] for job in jobs}
        for _ in range(rounds if windows < LARGE else 1):
            for job in jobs:
                found[job.contestant].append(self.measure(job))
        merged = {name: _merge(several) for name, several in found.items()}
        for name, one in merged.items():
            self._bytes_a_pair[name] = one.peak / pairs
            torch.testing.assert_close(one.loss, merged[OURS].loss, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(one.gradient, merged[OURS].gradient, rtol=1e-2, atol=1e-4)
        return merged

    def _can_run(self, name: str, windows: int, pairs: int) -> bool:
        missed = f"{name} at {windows:,} windows not measured:"
        if name == PEER and find_spec("pytorch_metric_learning") is None:
            self.notes.append(f"{missed} not installed.")
            return False
        # Ours keeps no pairs.
        expected = 0.0 if name == OURS else self._bytes_a_pair.get(name, 0.0) * pairs
        if expected > self.limit:
            need, have = (size / 2**30 for size in (expected, self.limit))
            self.notes.append(f"{missed} it would need {need:.0f} of {have:.0f} GiB.")
            return False
        return True


def _merge(several: Sequence[Measured]) -> Measured:
    """All steps, without the first of each process where there are more."""
    seconds = [second for one in several for second in one.seconds[1:] or one.seconds]
    peak = statistics.median(one.peak for one in several)
    return replace(several[0], seconds=seconds, peak=int(peak))


def compare(sizes: Sequence[tuple[int, int]], rounds: int, measure: Measure, limit: int) -> Table:
    """A row for each size, members and windows; the last is that of a whole step, too."""
    comparison = Comparison(measure, limit)
    rows: list[tuple[Cell, ...]] = []
    for members, windows in sizes:
        found = comparison.at(members, windows, rounds)
        seconds = [_median_s(found.get(name)) for name in CONTESTANTS]
        memory = [_peak_mib(found.get(name)) for name in CONTESTANTS]
        size = f"{members} x {windows:,}"
        rows.append((size, *seconds, *_ratios(seconds), *memory, *_ratios(memory)))
    columns = [
        f"{name} {unit}{suffix}"
        for unit in ("s", "MiB")
        for suffix, names in (("", CONTESTANTS), (" x", CONTESTANTS[1:]))
        for name in names
    ]
    return Table(
        name="contrastive",
        title=(
            f"Contrastive loss and its gradient, width {WIDTH}, float32, one thread;"
            f" x: multiples of {OURS}'s"
        ),
        columns=("members x windows", *columns),
        rows=rows,
        notes=(*comparison.notes, _whole_step(measure, *sizes[-1])),
    )


def _median_s(found: Measured | None) -> float | None:
    return None if found is None else statistics.median(found.seconds)


def _peak_mib(found: Measured | None) -> float | None:
    return None if found is None else found.peak / 2**20


def _ratios(ours_first: Sequence[float | None]) -> list[float | None]:
    """Others as multiples of ours."""
    own, *others = ours_first
    return [each / own if each and own else None for each in others]


def _whole_step(measure: Measure, members: int, windows: int) -> str:
    found = measure(Job(STEP, members, windows, 1))
    seconds, mib = found.seconds[0], found.peak / 2**20
    who = f"A teacher's whole step, {members} x {windows:,}"
    return f"{who}: {seconds:.3g} s, {mib:.0f} MiB."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small batches, one round")
    asked = parser.parse_args()
    sizes, rounds = (QUICK, 1) if asked.quick else (SIZES, 3)
    publish(compare(sizes, rounds, in_process_of_its_own, _free_bytes() * 3 // 4))


def _free_bytes() -> int:
    """What the kernel would give without swapping."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
