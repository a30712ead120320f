"""The same models the way they are usually written: one `nn.Module`, one loop, one at a time.

Nothing is held back: features are standardised beforehand, teachers' answers are laid out once,
Adam is fused, and whoever measures chooses the better number of threads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pricon.plan.plan import Stage
from pricon.spec.training import StageSpec
from tests.benchmarks.world import World

Inputs = Mapping[str, Tensor]


class Model(nn.Module):
    """Encoder a modality, fusion, and a head where `outputs` is not 0."""

    def __init__(self, widths: Mapping[str, int], width: int, outputs: int, rate: float) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: nn.Linear(d, width) for name, d in widths.items()})
        self.fusion = nn.Linear(len(widths) * width, width) if len(widths) > 1 else None
        self.dropout = nn.Dropout(rate)
        self.head = nn.Linear(width, outputs) if outputs else None

    def forward(self, inputs: Inputs, mask: Tensor | None = None) -> Tensor:
        """Scores, or the embedding; `mask` stands in for dropout of its own."""
        hidden = [torch.relu(encode(inputs[name])) for name, encode in self.encoders.items()]
        embedding = hidden[0] if hidden else inputs["embedding"]
        if self.fusion is not None:
            embedding = torch.relu(self.fusion(torch.cat(hidden, dim=1)))
        if self.head is None:
            return embedding
        dropped = self.dropout(embedding) if mask is None else embedding * mask
        scores: Tensor = self.head(dropped)
        return scores

    def layers(self) -> list[nn.Linear]:
        """In the order of a packed network's parameters."""
        return [*self.encoders.values(), *(one for one in (self.fusion, self.head) if one)]  # type: ignore[list-item]

    def load(self, parameters: Tensor) -> None:
        """Start from one row of a pack."""
        with torch.no_grad():
            for layer in self.layers():
                weight, bias, parameters = parameters.tensor_split(
                    [layer.weight.numel(), layer.weight.numel() + len(layer.bias)]
                )
                layer.weight.copy_(weight.view(layer.in_features, -1).T)
                layer.bias.copy_(bias)

    def parameters_as_a_row(self) -> Tensor:
        """As a pack has them."""
        both = [(layer.weight.detach().T.flatten(), layer.bias.detach()) for layer in self.layers()]
        return torch.cat([part for pair in both for part in pair])


def supervised(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores, labels)


def distilled(scores: Tensor, labels: Tensor, log_taught: Tensor, a: float, t: float) -> Tensor:
    """`log_taught` is the log-softmax of the teacher's logits / T."""
    taught = functional.kl_div(
        (scores / t).log_softmax(1), log_taught, log_target=True, reduction="batchmean"
    )
    return (1 - a) * functional.cross_entropy(scores, labels) + a * taught


def contrastive(embedding: Tensor, labels: Tensor, tau: float) -> Tensor:
    """Khosla et al. 2020, eq. 2; anchors without a positive are left out."""
    rows = functional.normalize(embedding, dim=1)
    similarity = (rows @ rows.T / tau).fill_diagonal_(-torch.inf)
    positive = (labels[:, None] == labels).fill_diagonal_(False)
    log_share = similarity.log_softmax(1).masked_fill(~positive, 0.0)
    count = positive.sum(1)
    losses = -log_share.sum(1) / count.clamp(min=1)
    return losses.sum() / (count > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class Cell:
    """Everything of one cell, laid out beforehand."""

    inputs: Inputs
    labels: Tensor
    train: Tensor
    validation: Tensor

    @staticmethod
    def of(world: World, number: int) -> "Cell":
        cell, windows = world.plan.cells[number], world.windows
        inputs = {}
        for name in world.job.modalities.everything:
            fitted = windows.standardiser(cell, name)
            inputs[name] = torch.from_numpy((windows.raw(name) - fitted.mean) * fitted.scale)
        rows = [torch.from_numpy(windows.rows(cell, part)) for part in ("train", "validation")]
        labels = torch.from_numpy(windows.labels(cell)).long()
        there = {name: one.to(world.device) for name, one in inputs.items()}
        return Cell(there, *(one.to(world.device) for one in (labels, *rows)))


def train(
    model: Model,
    cell: Cell,
    inputs: Inputs,
    loss: Callable[[Tensor, Tensor], Tensor],
    judge: Callable[[Tensor, Tensor], Tensor],
    stage: StageSpec,
    batch_size: int,
) -> None:
    """The loop. `loss` gets scores and rows, `judge` scores and labels."""
    model.to(cell.labels.device)
    adam = torch.optim.Adam(model.parameters(), lr=stage.learning_rate, fused=True)
    best, best_state = float("inf"), model.state_dict()
    for _ in range(stage.epochs):
        model.train()
        shuffled = cell.train[torch.randperm(len(cell.train), device=cell.train.device)]
        for rows in torch.split(shuffled, batch_size):
            step = loss(model({name: inputs[name].index_select(0, rows) for name in inputs}), rows)
            adam.zero_grad()
            step.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            adam.step()
        model.eval()
        with torch.no_grad():
            losses = [
                judge(
                    model({name: inputs[name].index_select(0, rows) for name in inputs}),
                    cell.labels[rows],
                )
                * len(rows)
                for rows in torch.split(cell.validation, batch_size)
            ]
            validation = sum(one.item() for one in losses)
        if validation < best:
            best = validation
            best_state = {name: one.clone() for name, one in model.state_dict().items()}
    model.load_state_dict(best_state)


@torch.no_grad()
def _outputs(model: Model, inputs: Inputs) -> Tensor:
    model.eval()
    outputs: Tensor = model(inputs)
    return outputs


def train_stage(world: World, cell: Cell, stage: Stage, said: dict[str, Tensor]) -> None:
    """One stage of a chain. `said`: what earlier ones say of every window, and then this one."""
    job, optimisation = world.job, world.job.optimisation
    encoder = job.student.encoder if stage.role == "student" else job.teacher.encoder
    inputs: Inputs = {name: cell.inputs[name] for name in stage.modalities}
    widths = {name: one.shape[1] for name, one in inputs.items()}
    batch = optimisation.batch_size
    labels = cell.labels
    if stage.role == "probe":
        inputs = {"embedding": said[stage.source or ""]}
        model = Model({}, encoder.width, 2, encoder.dropout)
    elif stage.objective in ("contrastive", "random"):
        model = Model(widths, encoder.width, 0, 0.0)
    else:
        model = Model(widths, encoder.width, 2, encoder.dropout)
    if stage.objective == "contrastive":
        tau = job.teacher.contrastive.temperature

        def alike(embedding: Tensor, labels: Tensor) -> Tensor:
            return contrastive(embedding, labels, tau)

        train(
            model, cell, inputs, lambda scores, rows: alike(scores, labels[rows]), alike,
            optimisation.contrastive, batch,
        )  # fmt: skip
    elif stage.role == "student" and stage.source is not None:
        spec = job.student.distillation
        log_taught = (said[stage.source] / spec.temperature).log_softmax(1)
        train(
            model, cell, inputs,
            lambda scores, rows: distilled(
                scores, labels[rows], log_taught[rows], spec.weight, spec.temperature
            ),
            supervised, optimisation.supervised, batch,
        )  # fmt: skip
    elif stage.objective != "random":
        how = optimisation.probe if stage.role == "probe" else optimisation.supervised
        train(
            model, cell, inputs, lambda scores, rows: supervised(scores, labels[rows]), supervised,
            how, batch,
        )  # fmt: skip
    said[stage.id] = _outputs(model.to(world.device), inputs)
