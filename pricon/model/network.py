"""Encoder, fusion and heads of many models as one stacked program.

Every parameter of a pack lives in one tensor of shape (members, size): layers are slices of it.
That makes gradient exchange, optimizer state, best weights and compaction operations on rows. A
pack of one member is the ordinary model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pricon.model.encoders import encode, encoder_layers
from pricon.model.keyed import Draws, dropout_mask
from pricon.model.layers import Layer, Weights, activation, linear
from pricon.model.precision import forward_in
from pricon.spec.training import EncoderSpec, Precision

EMBEDDING = "embedding"
"""Name of the input of a probe: the output of a frozen encoder, in a modality's place."""


Head = Literal["classes", "value", "projection", "none"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which layers a network has. Models of equal layout fit into one pack.

    Args:
        widths: input width of each modality, sorted by name.
        encoder: shape of encoders and fusion.
        head: `classes` (logits of low and high), `value` (one number), `projection` (of a
            contrastive stage), or `none`.
        projection_width: output width of the projection head.
        is_probe: the input is an embedding; there is only a head.
    """

    widths: tuple[tuple[str, int], ...]
    encoder: EncoderSpec
    head: Head
    projection_width: int = 0
    is_probe: bool = False
    layers: tuple[Layer, ...] = field(init=False)

    def __post_init__(self) -> None:
        layers = [] if self.is_probe else [*self._encoders(), *self._fusion()]
        object.__setattr__(self, "layers", (*layers, *self._head()))

    @property
    def size(self) -> int:
        """Parameters of one member."""
        return sum(layer.size for layer in self.layers)

    def _encoders(self) -> list[Layer]:
        return [
            layer
            for name, d_in in self.widths
            for layer in encoder_layers(self.encoder, name, d_in)
        ]

    def _fusion(self) -> list[Layer]:
        width = self.encoder.width
        return [Layer("fusion", width * len(self.widths), width)] if len(self.widths) > 1 else []

    def _head(self) -> list[Layer]:
        width = self.encoder.width
        match self.head:
            case "classes":
                return [Layer("head", width, 2)]
            case "value":
                return [Layer("head", width, 1)]
            case "projection":
                hidden = Layer("projection.0", width, width)
                return [hidden, Layer("projection.1", width, self.projection_width)]
            case "none":
                return []


@dataclass(frozen=True, slots=True)
class Dropout:
    """Which dropout to draw: one key a draw for this epoch, and the windows of its batch."""

    keys: Int64[Tensor, " draws"]
    windows: Int64[Tensor, "draws batch"]
    draws: Draws


class PackedNetwork(nn.Module):
    """Networks of one layout, one a row of `parameters_by_member`."""

    def __init__(
        self,
        layout: Layout,
        parameters: Float[Tensor, "members size"],
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.layout = layout
        self.precision = precision
        self.parameters_by_member = nn.Parameter(parameters)
        self._activation = activation(layout.encoder)

    def forward(
        self, inputs: Mapping[str, Tensor], dropout: Dropout | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embedding and scores, shapes (members, batch, width) and (members, batch, d_out).

        Scores are logits, a value, a projection, or the embedding itself, by the layout's head.

        Args:
            inputs: modality -> standardised features, shape (members, batch, d_in), or (members,
                batch, frames, d_in) for encoders over time.
            dropout: what to drop in front of a head that predicts; None in evaluation.
        """
        weights = self._weights()
        with forward_in(self.precision, self.parameters_by_member.device):
            embedding = inputs[EMBEDDING] if self.layout.is_probe else self._embed(weights, inputs)
            scores = self._score(weights, embedding, dropout)
        return embedding.float(), scores.float()

    def _weights(self) -> Weights:
        layers = self.layout.layers
        sizes = [size for layer in layers for size in (layer.d_in * layer.d_out, layer.d_out)]
        slices = torch.split(self.parameters_by_member, sizes, dim=1)
        return {
            layer.name: (weight.view(-1, layer.d_in, layer.d_out), bias.unsqueeze(1))
            for layer, weight, bias in zip(layers, slices[::2], slices[1::2], strict=True)
        }

    def _embed(self, weights: Weights, inputs: Mapping[str, Tensor]) -> Tensor:
        encoded = [
            encode(self.layout.encoder, weights, name, inputs[name])
            for name, _ in self.layout.widths
        ]
        if len(encoded) == 1:
            return encoded[0]
        return self._activation(linear(torch.cat(encoded, dim=2), weights["fusion"]))

    def _score(
        self,
        weights: Weights,
        embedding: Tensor,
        dropout: Dropout | None,
    ) -> Tensor:
        match self.layout.head:
            case "classes" | "value":
                rate = self.layout.encoder.dropout
                if dropout is None or rate == 0:
                    return linear(embedding, weights["head"])
                width = embedding.shape[2]
                mask = dropout_mask(dropout.keys, dropout.windows, width, rate)
                return linear(embedding, weights["head"], dropout.draws.expand(mask))
            case "projection":
                hidden = self._activation(linear(embedding, weights["projection.0"]))
                return linear(hidden, weights["projection.1"])
            case "none":
                return embedding


def initial_parameters(
    layout: Layout, keys: Int64[Tensor, " members"]
) -> Float[Tensor, "members size"]:
    """Where training starts, a function of each member's key."""
    return torch.cat([layer.initial(keys) for layer in layout.layers], dim=1)
