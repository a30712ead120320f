"""Adam for many models at once, each of which counts its own steps."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw

from pricon.spec.training import OptimisationSpec

State = dict[str, Tensor]
"""Of one member: `step`, `exp_avg` and `exp_avg_sq`, as torch's own optimiser calls them."""

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8
"""Decay of the gradient's mean and of its mean square, and what is added to the root: of torch."""

_RULES: dict[str, Callable[..., None]] = {"adam": adam, "adamw": adamw}


class Adam:
    """Adam (Kingma and Ba 2015), or AdamW (Loshchilov and Hutter 2019), over rows of parameters.

    The rule is torch's own, fused into one pass over memory. Neighbours of equal steps that
    take part alike are one tensor to it: a list of rows costs microseconds a row.

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
        self._rule = _RULES[optimisation.optimiser]
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
        whole = (self.parameters, gradient, self.mean, self.square)
        taking = np.asarray(takes_part)
        runs = [run for run in self._runs(taking) if taking[run.start]]
        steps = [float(self.steps[run.start]) for run in runs]
        self._rule(
            *([of[run] for run in runs] for of in whole),
            [],
            # Filled on the device: a GPU would be waited for to take in what the host has.
            [torch.full((), step, device=gradient.device) for step in steps],
            fused=True,
            amsgrad=False,
            beta1=_FIRST,
            beta2=_SECOND,
            lr=self.learning_rate,
            weight_decay=self.decay,
            eps=_EPSILON,
            maximize=False,
        )
        self.steps += taking

    def _runs(self, taking: NDArray[np.bool_]) -> list[slice]:
        """Rows side by side that have had equally many steps, and take part alike."""
        is_new = (np.diff(self.steps) != 0) | (np.diff(taking) != 0)
        bounds = [0, *(np.flatnonzero(is_new) + 1).tolist(), len(taking)]
        return [slice(start, stop) for start, stop in pairwise(bounds) if start < stop]

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
