"""Adam for many models at once, each of which counts its own steps."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from pricon.spec.training import OptimisationSpec

State = dict[str, Tensor]
"""Of one member: `step`, `exp_avg` and `exp_avg_sq`, as torch's own optimiser calls them."""

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8
"""Decay of the gradient's mean and of its mean square, and what is added to the root: of torch."""


class Adam:
    """Adam (Kingma and Ba 2015), or AdamW (Loshchilov and Hutter 2019), over rows of parameters.

    What torch's own does with a list of tensors that each count their steps; but in a few
    operations for all rows, where a list costs ten microseconds a row.

    Args:
        parameters: one member a row; changed in place.
        learning_rate: step size.
        optimisation: which of the two, and its weight decay.
        states: one a row to go on from; an empty one where there was no step.
    """

    def __init__(
        self,
        parameters: Float32[Tensor, "members size"],
        learning_rate: float,
        optimisation: OptimisationSpec,
        states: Sequence[State],
    ) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.decay = optimisation.weight_decay
        self.is_decoupled = optimisation.optimiser == "adamw"
        self.mean = torch.zeros_like(parameters)
        self.square = torch.zeros_like(parameters)
        self.steps = np.zeros(len(parameters), np.int64)
        for row, state in enumerate(states):
            if state:
                self.mean[row] = state["exp_avg"]
                self.square[row] = state["exp_avg_sq"]
                self.steps[row] = int(state["step"])

    @torch.no_grad()
    def step(self, gradient: Float32[Tensor, "members size"], takes_part: Sequence[bool]) -> None:
        """One step of each member that takes part; the others are left as they are."""
        self.steps += takes_part
        if all(takes_part):
            self._update((self.parameters, self.mean, self.square), gradient, self.steps)
            return
        rows = np.flatnonzero(takes_part)
        some = (self.parameters[rows], self.mean[rows], self.square[rows])
        self._update(some, gradient[rows], self.steps[rows])
        self.parameters[rows], self.mean[rows], self.square[rows] = some

    def _update(
        self, state: tuple[Tensor, Tensor, Tensor], gradient: Tensor, steps: NDArray[np.int64]
    ) -> None:
        """The rule of both, in place; the correction for the start is a number a row."""
        parameters, mean, square = state
        if self.decay and self.is_decoupled:
            parameters.mul_(1.0 - self.learning_rate * self.decay)
        elif self.decay:
            gradient = gradient.add(parameters, alpha=self.decay)
        mean.lerp_(gradient, 1.0 - _FIRST)
        square.mul_(_SECOND).addcmul_(gradient, gradient, value=1.0 - _SECOND)
        spread = np.sqrt(1.0 - _SECOND**steps)
        rate = self.learning_rate * spread / (1.0 - _FIRST**steps)
        # rate * mean / (root + epsilon * spread), in as few passes over memory as there are.
        root = square.sqrt().add_(self._by_row(_EPSILON * spread)).mul_(self._by_row(1.0 / rate))
        parameters.addcdiv_(mean, root, value=-1.0)

    def _by_row(self, numbers: NDArray[np.float64]) -> Float32[Tensor, "members 1"]:
        return torch.from_numpy(numbers.astype(np.float32)[:, None]).to(self.parameters.device)

    def keep(self, parameters: Float32[Tensor, "kept size"], rows: list[int]) -> None:
        """Go on with `rows` alone, whose parameters are now `parameters`."""
        self.parameters = parameters
        self.mean, self.square = self.mean[rows], self.square[rows]
        self.steps = self.steps[rows]

    def states(self) -> list[State]:
        """What `__init__` takes."""
        return [
            {"step": torch.tensor(float(step)), "exp_avg": mean, "exp_avg_sq": square}
            for step, mean, square in zip(self.steps, self.mean, self.square, strict=True)
        ]
