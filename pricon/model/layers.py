"""Layers of many models at once: how big they are, how they start, and what they compute.

Every function takes weights of shape (members, d_in, d_out) and biases of shape (members, 1,
d_out), and inputs of shape (members, n, d_in).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from pricon.model.keyed import derive, uniform
from pricon.spec.training import EncoderSpec

Weights = Mapping[str, tuple[Tensor, Tensor]]
"""Layer name -> weight (members, d_in, d_out) and bias (members, 1, d_out)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """d_in x d_out weights, row by row, then d_out biases.

    Args:
        name: unique in a network.
        d_in: inputs; 1 for a norm, whose weights are factors of its outputs.
        d_out: outputs; three times the state for a recurrent layer.
        start: how parameters are initialised: as torch's own linear, recurrent and norm layers.
    """

    name: str
    d_in: int
    d_out: int
    start: Literal["linear", "recurrent", "norm"] = "linear"

    @property
    def size(self) -> int:
        """Number of parameters."""
        return (self.d_in + 1) * self.d_out

    def initial(self, keys: Int64[Tensor, " members"]) -> Float[Tensor, "members size"]:
        """Parameters before training: uniform in +- 1 / sqrt(inputs, or size of the state)."""
        if self.start == "norm":
            ones, zeros = (torch.full((len(keys), self.d_out), one) for one in (1.0, 0.0))
            return torch.cat([ones, zeros], dim=1).to(keys.device)
        inputs = self.d_in if self.start == "linear" else self.d_out // 3
        draws = uniform(derive(keys, f"initial {self.name}"), self.size)
        bound: float = inputs**-0.5
        return (2.0 * draws - 1.0) * bound


def linear(
    inputs: Float[Tensor, "m n d_in"], weight_and_bias: tuple[Tensor, Tensor]
) -> Float[Tensor, "m n d_out"]:
    """Each member's own affine map."""
    weight, bias = weight_and_bias
    return torch.baddbmm(bias, inputs, weight)


def norm(
    inputs: Float[Tensor, "m n d"], weight_and_bias: tuple[Tensor, Tensor]
) -> Float[Tensor, "m n d"]:
    """Layer norm over the last axis. Source: Ba, Kiros and Hinton 2016."""
    weight, bias = weight_and_bias
    return functional.layer_norm(inputs, inputs.shape[2:]) * weight + bias


def activation(spec: EncoderSpec) -> Callable[[Tensor], Tensor]:
    """What comes after a linear layer."""
    return {"relu": torch.relu, "gelu": functional.gelu, "tanh": torch.tanh}[spec.activation]
