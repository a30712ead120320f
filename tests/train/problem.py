"""A small learnable problem: 600 windows of 20 people, members with folds of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pricon.model.keyed import Draws, key_of
from pricon.model.network import Head, Layout
from pricon.spec.training import (
    ContrastiveSpec,
    DistillationSpec,
    EncoderSpec,
    OptimisationSpec,
    StageSpec,
)
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import PADDING, Batch, Examples, Known, Part
from pricon.train.inputs import Features
from pricon.train.loop import fit
from pricon.train.losses import cross_entropy, squared_error
from pricon.train.objectives import Contrastive, Distillation, Objective, Supervised
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.resident import Resident

NUM_WINDOWS = 600
WIDTHS = {"player": 7, "hud": 5}
ENCODER = EncoderSpec(width=16)
OVER_TIME = {
    kind: EncoderSpec.model_validate({"kind": kind, "width": 16}) for kind in ("gru", "transformer")
}
OPTIMISATION = OptimisationSpec()
DECAYING = OptimisationSpec(optimiser="adamw", weight_decay=0.1)
"""How packs of encoders over time are optimised, all others by `OPTIMISATION`."""
STAGE = StageSpec(learning_rate=3e-3, epochs=25, patience=3)


def separate(num: int) -> Draws:
    """Members none of which draw alike."""
    return Draws.among(range(num), torch.device("cpu"))


def known(labels: torch.Tensor, teacher: torch.Tensor | None = None) -> Known:
    """Labels (members, windows) and answers (members, windows, c) that are each member's own."""
    members = torch.arange(len(labels))
    if teacher is None:
        return Known(draw_of=members, labels=labels)
    taught = teacher.permute(2, 0, 1).contiguous()
    return Known(draw_of=members, labels=labels, taught=taught, teacher_of=members)


def answers(data: Resident) -> torch.Tensor:
    """What each member's own teacher says, shape (members, windows, c)."""
    assert data.known.taught is not None
    return data.known.taught.permute(1, 2, 0)


def retaught(data: Resident, teacher: torch.Tensor | None) -> Resident:
    """The same with other answers."""
    return replace(data, known=known(data.known.labels, teacher))


def layout(kind: str) -> Layout:
    modalities = ("player",) if kind in ("distillation", "regression") else ("hud", "player")
    widths = tuple((name, WIDTHS[name]) for name in modalities)
    heads: dict[str, Head] = {"contrastive": "none", "regression": "value"}
    encoder = OVER_TIME.get(kind, ENCODER)
    return Layout(widths=widths, encoder=encoder, head=heads.get(kind, "classes"))


def objective(kind: str, members: Sequence[int], ranks: Ranks) -> Objective:
    if kind == "contrastive":
        return Contrastive(ContrastiveSpec(), torch.full((len(members),), 0.1), ranks)
    if kind == "cross_entropy" or kind in OVER_TIME:
        return Supervised(cross_entropy)
    weights = torch.tensor([0.25 if member % 2 else 0.0 for member in members])
    temperatures = torch.full((len(members),), 0.5)
    if kind == "regression":
        embedding = DistillationSpec(imitate="embedding")
        return Distillation(embedding, weights, temperatures, squared_error)
    return Distillation(DistillationSpec(), weights, temperatures, cross_entropy)


def examples(kind: str, members: Sequence[int], ranks: Ranks, batch_size: int = 64) -> Resident:
    """What `members` read; a member's part does not depend on who else is in the list."""
    generator = torch.Generator().manual_seed(0)
    raw = {
        name: torch.randn(NUM_WINDOWS, width, generator=generator) * 3 + 1
        for name, width in WIDTHS.items()
    }
    noise = torch.randn(NUM_WINDOWS, generator=generator)
    values = raw["player"][:, 0] + raw["hud"][:, 0] - 2 + 4 * noise
    labels = values / 6 if kind == "regression" else (values > 0).to(torch.int8)
    rows: dict[Part, list[torch.Tensor]] = {"train": [], "validation": []}
    for member in members:
        people = torch.randperm(20, generator=torch.Generator().manual_seed(100 + member))
        num_train = 8 + member % 7
        person = torch.arange(NUM_WINDOWS) % 20
        rows["train"].append(torch.isin(person, people[:num_train]).nonzero()[:, 0])
        rows["validation"].append(
            torch.isin(person, people[num_train : num_train + 3]).nonzero()[:, 0]
        )
    shown = {name: raw[name] for name, _ in layout(kind).widths}
    if kind in OVER_TIME:  # three frames: windows fade out
        shown = {name: torch.stack([one, one / 2, one / 4], dim=1) for name, one in shown.items()}
    scale = torch.tensor([[1 / 3 + member / 1000] for member in members])
    width = ENCODER.width if kind == "regression" else 2
    teacher = torch.randn(50, NUM_WINDOWS, width, generator=generator)[list(members)]
    return Resident(
        inputs=Features(
            shown,
            {name: torch.ones(len(members), WIDTHS[name]) for name in shown},
            {name: scale.expand(-1, WIDTHS[name]) for name in shown},
        ),
        windows=torch.arange(NUM_WINDOWS) * 3 + 5,
        known=known(
            labels.repeat(len(members), 1),
            teacher if kind in ("distillation", "regression") else None,
        ),
        rows={
            part: torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=PADDING)
            for part, some in rows.items()
        },
        counts={part: tuple(len(one) for one in some) for part, some in rows.items()},
        keys=torch.tensor([key_of("member", member) for member in members]),
        batch_size=batch_size,
        ranks=ranks,
    )


def train(
    kind: str,
    members: Sequence[int],
    ranks: Ranks | None = None,
    checkpoints: Checkpoints | None = None,
    stage: StageSpec = STAGE,
) -> Pack:
    ranks = ranks or Ranks()
    data = examples(kind, members, ranks)
    optimisation = DECAYING if kind in OVER_TIME else OPTIMISATION
    pack = Pack(layout(kind), data.keys, stage, optimisation, ranks)
    none = Checkpoints(None, [str(member) for member in members], 1e9)
    fit(pack, data, objective(kind, members, ranks), checkpoints or none, lambda _: None)
    return pack


class CrashError(Exception):
    """Raised in the middle of training."""


@dataclass(frozen=True)
class Crashing:
    """Windows that can be read up to a batch of an epoch."""

    examples: Examples
    epoch: int
    batch: int

    @property
    def keys(self) -> torch.Tensor:
        return self.examples.keys

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator[Batch]:
        for batch in self.examples.training(live, epoch, after):
            if epoch == self.epoch and batch.number >= self.batch:
                raise CrashError
            yield batch

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        return self.examples.validation(live)

    def evaluate(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError
