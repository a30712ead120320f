"""Layers of many models at once: how big they are, how they start, and what they compute.

Every function takes weights of shape (members, d_in, d_out) and biases of shape (members, 1,
d_out), and inputs of shape (members, n, d_in).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from pricon.model.keyed import derive, uniform
from pricon.spec.training import EncoderSpec

Weights = Mapping[str, tuple[Tensor, Tensor]]
"""Layer name -> weight (members, d_in, d_out) and bias (members, 1, d_out)."""

_NARROW = 4
"""Outputs of a layer for which `_NarrowProduct` is faster; measured on one core: 12 against 60
microseconds a member for forward and backward pass of a head with two."""


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
    inputs: Float[Tensor, "m n d_in"],
    weight_and_bias: tuple[Tensor, Tensor],
    factors: Float[Tensor, "m n d_in"] | None = None,
) -> Float[Tensor, "m n d_out"]:
    """Each member's own affine map, of inputs times `factors` where there are some."""
    weight, bias = weight_and_bias
    if weight.shape[2] <= _NARROW and not torch.is_autocast_enabled(weight.device.type):
        rows: Tensor = _NarrowProduct.apply(inputs, weight, factors)  # type: ignore[no-untyped-call]  # torch has no types here
        return (rows + bias.transpose(1, 2)).transpose(1, 2)
    # Not `baddbmm`, which writes the bias first and reads it back: 6.8 against 5.3 ms for students
    # of 84 members, 256 windows and 131 features on one core.
    return torch.bmm(inputs if factors is None else inputs * factors, weight).add_(bias)


class _NarrowProduct(torch.autograd.Function):
    """(inputs * factors) times a matrix of very few columns, as rows: shape (m, d_out, n).

    Libraries of matrix products are slow where the result has two columns, and fast where it has
    two rows: the head of a student costs as much as its encoder otherwise, and the loss that
    follows runs over strided memory.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, factors: Tensor | None) -> Tensor:
        if factors is not None:
            inputs = inputs * factors
        rows = weight.transpose(1, 2).contiguous()
        ctx.save_for_backward(inputs, rows, factors)
        return torch.bmm(rows, inputs.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        inputs, rows, factors = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        for_inputs = None
        if ctx.needs_input_grad[0]:
            for_inputs = torch.bmm(gradient.transpose(1, 2), rows)
            if factors is not None:
                for_inputs.mul_(factors)
        return for_inputs, torch.bmm(gradient, inputs).transpose(1, 2), None


def norm(
    inputs: Float[Tensor, "m n d"], weight_and_bias: tuple[Tensor, Tensor]
) -> Float[Tensor, "m n d"]:
    """Layer norm over the last axis. Source: Ba, Kiros and Hinton 2016."""
    weight, bias = weight_and_bias
    return functional.layer_norm(inputs, inputs.shape[2:]) * weight + bias


def activation(spec: EncoderSpec) -> Callable[[Tensor], Tensor]:
    """What comes after a linear layer; may work in its place."""
    return {"relu": torch.relu_, "gelu": functional.gelu, "tanh": torch.tanh}[spec.activation]
