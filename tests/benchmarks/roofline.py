"""Time per member-step for packs of 1 to 1,000 students, and how far that is from the roofline.

    python -m tests.benchmarks.roofline [--quick]

A step is a batch of 256 windows of 41 features through a student of width 96, its loss, its
gradient, and its optimiser, on one thread. The floor is what this machine could do at best,
measured in the same turns: products of matrices alone at the rate of a large product; and what has
to move, were everything that a step computes written once and read once, at the rate of a copy that
does not fit into caches. The roofline is the larger of both.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch

from pricon.model.keyed import key_of
from pricon.model.network import Layout
from pricon.spec.training import DistillationSpec, EncoderSpec, OptimisationSpec, StageSpec
from pricon.train.examples import Known
from pricon.train.inputs import Features
from pricon.train.losses import cross_entropy
from pricon.train.memory import keep_freed_memory
from pricon.train.objectives import Distillation
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.resident import Resident
from tests.benchmarks.table import Table, in_turns, medians, publish

D_IN, WIDTH, CLASSES, BATCH, ARMS = 41, EncoderSpec().width, 2, 256, 7
SIZES, QUICK = (1, 10, 100, 1000), (1, 10)
STEPS = 4
"""Of each member in a measurement: an epoch of 1,024 windows."""

PRODUCT, COPY = 1024, 1 << 25
"""Side of the large product, and floats of the large copy."""


def flops() -> int:
    """Of a member-step: products of matrices, forward and backward; features need no gradient."""
    return 2 * BATCH * (2 * D_IN * WIDTH + 3 * WIDTH * CLASSES)


def num_bytes() -> int:
    """Of a member-step: features, embedding, mask, dropped embedding, its gradient and that before
    the activation, each written and read once; parameters, their gradient and two statistics."""
    parameters = (D_IN + 1) * WIDTH + (WIDTH + 1) * CLASSES
    return 2 * 4 * (BATCH * (D_IN + 5 * WIDTH) + 4 * parameters)


def epoch_of(members: int) -> Callable[[], None]:
    """One epoch of a pack of that many; seven arms at a time draw alike."""
    num = STEPS * BATCH
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(num, D_IN, generator=generator)
    cells = [member // ARMS for member in range(members)]
    rows = torch.arange(num).repeat(members, 1)
    examples = Resident(
        inputs=Features(
            {"video": raw},
            {"video": torch.zeros(members, D_IN)},
            {"video": torch.ones(members, D_IN)},
        ),
        windows=torch.arange(num),
        known=Known(
            draw_of=torch.tensor(cells),
            labels=(raw[:, 0] > 0).to(torch.int8).repeat(max(cells) + 1, 1),
            taught=torch.randn(CLASSES, members, num, generator=generator),
            teacher_of=torch.arange(members),
        ),
        rows={"train": rows, "validation": rows[:, :BATCH]},
        counts={"train": (num,) * members, "validation": (BATCH,) * members},
        keys=torch.tensor([key_of("cell", cell) for cell in cells]),
        batch_size=BATCH,
        ranks=Ranks(),
    )
    layout = Layout(widths=(("video", D_IN),), encoder=EncoderSpec(), head="classes")
    stage = StageSpec(learning_rate=5e-4, epochs=1, patience=1)
    pack = Pack(layout, examples.keys, stage, OptimisationSpec(), Ranks())
    objective = Distillation(
        DistillationSpec(), torch.full((members,), 0.25), torch.full((members,), 0.5), cross_entropy
    )

    def epoch() -> None:
        for batch in examples.training(pack.live, epoch=0):
            loss = objective.training(pack.network, batch)
            pack.step(loss.total / loss.count, batch.has_windows)

    return epoch


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, for tests")
    is_quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    keep_freed_memory()
    sizes = QUICK if is_quick else SIZES
    square, source = torch.randn(PRODUCT, PRODUCT), torch.randn(COPY)
    target = torch.empty_like(source)
    contestants: dict[str, Callable[[], object]] = {
        "product": partial(torch.mm, square, square),
        "copy": partial(target.copy_, source),
    }
    contestants |= {str(size): epoch_of(size) for size in sizes}
    seconds = medians(in_turns(contestants, repeats=1 if is_quick else 7))
    flops_a_second = 2 * PRODUCT**3 / seconds["product"]
    bytes_a_second = 2 * 4 * COPY / seconds["copy"]
    computing, moving = flops() / flops_a_second, num_bytes() / bytes_a_second
    floor = max(computing, moving)
    rows = []
    for size in sizes:
        step = seconds[str(size)] / STEPS / size
        rows.append((f"pack of {size:,}", 1e6 * step, step / floor, step / computing))
    publish(
        Table(
            name="roofline",
            title="A step of a student, on one thread",
            columns=("", "us a member-step", "times roofline", "times products alone"),
            rows=rows,
            notes=(
                f"{flops() / 1e6:.1f} MFLOP at {flops_a_second / 1e9:.0f} GFLOP/s: "
                f"{1e6 * computing:.0f} us.",
                f"{num_bytes() / 1e6:.1f} MB at {bytes_a_second / 1e9:.0f} GB/s: "
                f"{1e6 * moving:.0f} us, were nothing to stay in a cache.",
                "On a GPU: not measured.",
            ),
        )
    )


if __name__ == "__main__":
    main()
