"""Seconds a trial for packs of 1, 10 and 100 students, beside a plain torch loop. `make bench`.

One student trial is 20 epochs over 3,000 windows of 33 features in batches of 256, on one thread.
Early stopping is out of reach, so that everybody does the same work. All rows come from one run,
in turns; the ratio to the plain loop is what travels between machines, seconds are not.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from pricon.model.keyed import key_of
from pricon.model.network import Layout
from pricon.spec.training import DistillationSpec, EncoderSpec, OptimisationSpec, StageSpec
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import Examples, Features
from pricon.train.loop import fit
from pricon.train.losses import cross_entropy
from pricon.train.objectives import Distillation
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks

NUM_TRAIN, NUM_VALIDATION, WIDTH, BATCH, EPOCHS, REPEATS = 3000, 300, 33, 256, 20, 3
STAGE = StageSpec(learning_rate=5e-4, epochs=EPOCHS, patience=EPOCHS)


def packed(size: int) -> None:
    """`size` students as one pack."""
    num = NUM_TRAIN + NUM_VALIDATION
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(num, WIDTH, generator=generator)
    examples = Examples(
        inputs=Features(
            {"player": raw},
            {"player": torch.zeros(size, WIDTH)},
            {"player": torch.ones(size, WIDTH)},
        ),
        windows=torch.arange(num),
        labels=(raw[:, 0] > 0).to(torch.int8).repeat(size, 1),
        rows={
            "train": torch.arange(NUM_TRAIN).repeat(size, 1),
            "validation": torch.arange(NUM_TRAIN, num).repeat(size, 1),
        },
        counts={"train": (NUM_TRAIN,) * size, "validation": (NUM_VALIDATION,) * size},
        keys=torch.tensor([key_of("member", member) for member in range(size)]),
        teacher=torch.randn(size, num, 2, generator=generator),
        batch_size=BATCH,
        ranks=Ranks(),
    )
    layout = Layout(widths=(("player", WIDTH),), encoder=EncoderSpec(), head="classes")
    pack = Pack(layout, examples.keys, STAGE, OptimisationSpec(), Ranks())
    objective = Distillation(
        DistillationSpec(), torch.full((size,), 0.25), torch.full((size,), 0.5), cross_entropy
    )
    fit(pack, examples, objective, Checkpoints(None, [], 1e9), lambda _: None)


def plain() -> None:
    """One student in a well-written ordinary loop."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(NUM_TRAIN + NUM_VALIDATION, WIDTH, generator=generator)
    labels = (raw[:, 0] > 0).long()
    teacher = (torch.randn(len(raw), 2, generator=generator) / 0.5).log_softmax(1)
    model = nn.Sequential(nn.Linear(WIDTH, 96), nn.ReLU(), nn.Dropout(0.1), nn.Linear(96, 2))
    adam = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.randperm(NUM_TRAIN, generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            logits = model(raw[rows])
            taught = nn.functional.kl_div(
                (logits / 0.5).log_softmax(1), teacher[rows], log_target=True, reduction="batchmean"
            )
            loss = 0.75 * nn.functional.cross_entropy(logits, labels[rows]) + 0.25 * taught
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            adam.step()
        model.eval()
        with torch.no_grad():
            nn.functional.cross_entropy(model(raw[NUM_TRAIN:]), labels[NUM_TRAIN:]).item()


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    rows: dict[str, tuple[int, Callable[[], None]]] = {
        "plain torch loop": (1, plain),
        "pack of 1": (1, lambda: packed(1)),
        "pack of 10": (10, lambda: packed(10)),
        "pack of 100": (100, lambda: packed(100)),
    }
    plain()
    times = {name: [seconds(work) / n for _ in range(REPEATS)] for name, (n, work) in rows.items()}
    base = statistics.median(times["plain torch loop"])
    steps = EPOCHS * -(-NUM_TRAIN // BATCH)
    lines = [f"{'':18} {'s a trial':>10} {'ms a step':>10} {'times plain':>12}"]
    for name, measured in times.items():
        median = statistics.median(measured)
        lines.append(
            f"{name:18} {median:10.4f} {1000 * median / steps:10.3f} {base / median:12.1f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    out = Path("runs/bench")
    out.mkdir(parents=True, exist_ok=True)
    (out / "packs.json").write_text(json.dumps(times, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
