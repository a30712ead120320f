"""A pack while it trains: stacked parameters, optimiser, early stopping, best weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from pricon.model.network import Layout, PackedNetwork, initial_parameters
from pricon.spec.training import OptimisationSpec, StageSpec
from pricon.train.adam import Adam, State
from pricon.train.ranks import Ranks


@dataclass(slots=True)
class Progress:
    """What early stopping knows of one member.

    Args:
        training: training loss after each epoch.
        validation: validation loss after each epoch.
        best_epoch: epoch of the lowest validation loss, from 0; -1 before the first.
        failure: why the member cannot be used, or None.
    """

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = -1
    failure: str | None = None

    def judge(self, training: float, validation: float, patience: int) -> tuple[bool, bool]:
        """Take in one epoch; whether it is the best so far, and whether to go on."""
        epoch = len(self.validation)
        self.training.append(training)
        self.validation.append(validation)
        if not (validation < float("inf")):
            self.failure = f"validation loss is {validation} after epoch {epoch}"
            return False, False
        is_best = self.best_epoch < 0 or validation < self.validation[self.best_epoch]
        if is_best:
            self.best_epoch = epoch
        return is_best, epoch - self.best_epoch < patience


@dataclass(slots=True)
class Mean:
    """Mean loss of each of m members over an epoch: sums first, divided once.

    Args:
        total: sum of losses so far, float64, shape (m,).
        count: examples so far, float64, shape (m,).
    """

    total: Float64[Tensor, " m"]
    count: Float64[Tensor, " m"]

    def add(self, total: Float[Tensor, " m"], count: Int64[Tensor, " m"]) -> None:
        """Take in a batch: its sum of losses, and its examples."""
        self.total += total
        self.count += count

    def by_member(self) -> list[float]:
        """NaN where nothing counted: a member without an example cannot be judged."""
        means: list[float] = (self.total / self.count).tolist()
        return means


class Pack:
    """Members of one layout that train together and stop each for itself.

    A member that stops leaves the stacked parameters at once, so that nothing is computed for it
    any more; `best` keeps its weights. What a member computes does not depend on the others.

    Args:
        layout: shape of the networks.
        keys: random key of each member, shape (members,).
        stage: learning rate, epochs, patience.
        optimisation: how a step is taken.
        ranks: processes that share the pack.

    Attributes:
        num_batches: batches of the epoch that are behind, as `Batch` numbers them.
        training: training loss of the epoch so far, of all ranks.
    """

    def __init__(
        self,
        layout: Layout,
        keys: Int64[Tensor, " members"],
        stage: StageSpec,
        optimisation: OptimisationSpec,
        ranks: Ranks,
    ) -> None:
        self.layout = layout
        self.stage = stage
        self.optimisation = optimisation
        self.ranks = ranks
        self.live = tuple(range(len(keys)))
        self.members = [Progress() for _ in self.live]
        self.best = initial_parameters(layout, keys)
        self.num_batches = 0
        self.training = self.new_mean()
        self._stack(self.best.clone(), [{} for _ in self.live])

    def new_mean(self) -> Mean:
        """Of the members still alive."""
        total = torch.zeros(len(self.live), dtype=torch.float64, device=self.best.device)
        return Mean(total, torch.zeros_like(total))

    @property
    def num_epochs(self) -> int:
        """Epochs that the members still alive have behind them."""
        return max(len(member.validation) for member in self.members)

    @property
    def is_done(self) -> bool:
        """Whether every member has stopped or had all its epochs."""
        return not self.live or self.num_epochs >= self.stage.epochs

    def step(self, losses: Float[Tensor, " live"], has_windows: Sequence[bool]) -> None:
        """One step of the optimiser for each live member that has windows in this batch.

        Args:
            losses: what each member minimises; members do not share parameters, so the gradient
                of the sum is the gradient of each.
            has_windows: members without any are left as they are: no decay, no step counted.
        """
        with self.ranks.awaited():
            losses.sum().backward()  # type: ignore[no-untyped-call]  # torch has no types here
        gradient = self._raw.parameters_by_member.grad
        if gradient is None:
            raise RuntimeError("no loss reaches the parameters of the pack")
        clip_norm = self.optimisation.gradient_clip_norm
        if clip_norm is not None:
            norm = gradient.norm(dim=1, keepdim=True)
            gradient.mul_((clip_norm / norm.clamp(min=1e-12)).clamp(max=1.0))
        self._optimiser.step(gradient, has_windows)
        self._raw.parameters_by_member.grad = None

    def judge(self, training: Sequence[float], validation: Sequence[float]) -> None:
        """Close an epoch: keep the best weights, let members stop, drop them from the stack."""
        going_on, improved = [], []
        for row, member in enumerate(self.live):
            is_best, goes_on = self.members[member].judge(
                training[row], validation[row], self.stage.patience
            )
            if is_best:
                improved.append(row)
            if goes_on:
                going_on.append(row)
        members = [self.live[row] for row in improved]
        self.best[members] = self._raw.parameters_by_member.detach()[improved]
        if len(going_on) < len(self.live):
            self._keep(going_on)
        self.num_batches, self.training = 0, self.new_mean()

    def _keep(self, rows: list[int]) -> None:
        self.live = tuple(self.live[row] for row in rows)
        parameters = self._raw.parameters_by_member.detach()[rows]
        self._wrap(parameters)
        self._optimiser.keep(parameters, rows)

    def _stack(self, parameters: Float32[Tensor, "live size"], states: list[State]) -> None:
        """Make `parameters` the pack's own, and optimise them from `states` on."""
        self._wrap(parameters)
        self._optimiser = Adam(parameters, self.stage.learning_rate, self.optimisation, states)

    def _wrap(self, parameters: Float32[Tensor, "live size"]) -> None:
        self._raw = PackedNetwork(self.layout, parameters, self.optimisation.precision)
        self.network = self.ranks.parallel(self._raw) if len(parameters) else self._raw

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, as tensors and plain values."""
        return {
            "live": list(self.live),
            "members": [[m.training, m.validation, m.best_epoch, m.failure] for m in self.members],
            "best": self.best,
            "parameters": self._raw.parameters_by_member.detach(),
            "optimiser": self._optimiser.states(),
            "num_batches": self.num_batches,
            "training": [self.training.total, self.training.count],
        }

    def restore(self, state: dict[str, Any], members: Sequence[int]) -> None:
        """Go on from `state`, of which only `members` (positions in it) are taken."""
        position = {old: new for new, old in enumerate(members)}
        rows = [row for row, old in enumerate(state["live"]) if old in position]
        self.live = tuple(position[state["live"][row]] for row in rows)
        self.members = [Progress(*state["members"][old]) for old in members]
        device = self.best.device
        self.best = state["best"][list(members)].to(device)
        states = [
            {key: value.to(device) for key, value in state["optimiser"][row].items()}
            for row in rows
        ]
        self._stack(state["parameters"][rows].to(device), states)
        # Checkpoints of versions that took them between epochs do not have these.
        self.num_batches = state.get("num_batches", 0)
        self.training = self.new_mean()
        if "training" in state:
            self.training = Mean(*(sums[rows].to(device) for sums in state["training"]))
