"""Encoders of one modality: linear layers, or networks over the frames of a window.

`encoder_layers` says which parameters an encoder has, `encode` what it computes with them. Members
of a pack are encoded together and do not see each other.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pricon.model.layers import Layer, Weights, activation, linear, norm
from pricon.spec.training import EncoderSpec

_LONGEST_WAVE = 10_000.0
"""Of the sines that tell a transformer where a frame stands, in frames over 2 pi."""


def encoder_layers(spec: EncoderSpec, name: str, d_in: int) -> list[Layer]:
    """Layers of the encoder of the modality `name`, whose frames have `d_in` features."""
    width = spec.width
    place = f"encoder.{name}"
    match spec.kind:
        case "mean":
            return [
                Layer(f"{place}.{depth}", width if depth else d_in, width)
                for depth in range(spec.depth)
            ]
        case "gru":
            return [
                layer
                for depth in range(spec.depth)
                for layer in (
                    Layer(
                        f"{place}.{depth}.input", width if depth else d_in, 3 * width, "recurrent"
                    ),
                    Layer(f"{place}.{depth}.state", width, 3 * width, "recurrent"),
                )
            ]
        case "transformer":
            blocks = [
                layer for depth in range(spec.depth) for layer in _block(spec, f"{place}.{depth}")
            ]
            return [
                Layer(f"{place}.input", d_in, width),
                *blocks,
                Layer(f"{place}.norm", 1, width, "norm"),
            ]


def _block(spec: EncoderSpec, place: str) -> list[Layer]:
    width, hidden = spec.width, spec.expansion * spec.width
    return [
        Layer(f"{place}.attention.norm", 1, width, "norm"),
        Layer(f"{place}.attention.input", width, 3 * width),
        Layer(f"{place}.attention.output", width, width),
        Layer(f"{place}.expansion.norm", 1, width, "norm"),
        Layer(f"{place}.expansion.input", width, hidden),
        Layer(f"{place}.expansion.output", hidden, width),
    ]


def encode(
    spec: EncoderSpec, weights: Weights, name: str, inputs: Float[Tensor, "m b ..."]
) -> Float[Tensor, "m b width"]:
    """Encoding of each window.

    Args:
        spec: kind and shape.
        weights: of all layers of the network.
        name: which modality.
        inputs: standardised features, shape (m, b, d_in), or (m, b, frames, d_in) for encoders
            over time.
    """
    place = f"encoder.{name}"
    match spec.kind:
        case "mean":
            return _perceptron(spec, weights, place, inputs)
        case "gru":
            return _gru(spec, weights, place, inputs)
        case "transformer":
            return _transformer(spec, weights, place, inputs)


def _perceptron(spec: EncoderSpec, weights: Weights, place: str, hidden: Tensor) -> Tensor:
    for depth in range(spec.depth):
        hidden = activation(spec)(linear(hidden, weights[f"{place}.{depth}"]))
    return hidden


def _gru(
    spec: EncoderSpec, weights: Weights, place: str, frames: Float[Tensor, "m b t d"]
) -> Float[Tensor, "m b width"]:
    """Last state. Source: Cho et al. 2014, reset after the product, as in torch's own layer."""
    states = list(frames.unbind(2))
    for depth in range(spec.depth):
        from_input = linear(torch.cat(states, dim=1), weights[f"{place}.{depth}.input"])
        state = torch.zeros_like(from_input[:, : frames.shape[1], : spec.width])
        states = []
        for seen in torch.split(from_input, frames.shape[1], dim=1):
            remembered = linear(state, weights[f"{place}.{depth}.state"])
            reset, update, candidate = seen.chunk(3, dim=2)
            old_reset, old_update, old_candidate = remembered.chunk(3, dim=2)
            new = torch.tanh(candidate + torch.sigmoid(reset + old_reset) * old_candidate)
            state = torch.lerp(new, state, torch.sigmoid(update + old_update))
            states.append(state)
    return states[-1]


def _transformer(
    spec: EncoderSpec, weights: Weights, place: str, frames: Float[Tensor, "m b t d"]
) -> Float[Tensor, "m b width"]:
    """Mean over frames of the normed output. Source: Vaswani et al. 2017, norms before layers."""
    m, b, t, _ = frames.shape
    hidden = linear(frames.flatten(1, 2), weights[f"{place}.input"])
    hidden = hidden + _positions(t, spec.width, frames.device).repeat(b, 1)
    for depth in range(spec.depth):
        block = f"{place}.{depth}"
        normed = norm(hidden, weights[f"{block}.attention.norm"])
        queries_keys_values = linear(normed, weights[f"{block}.attention.input"])
        attended = _attend(queries_keys_values.view(m, b, t, 3, spec.heads, -1))
        hidden = hidden + linear(attended, weights[f"{block}.attention.output"])
        normed = norm(hidden, weights[f"{block}.expansion.norm"])
        expanded = activation(spec)(linear(normed, weights[f"{block}.expansion.input"]))
        hidden = hidden + linear(expanded, weights[f"{block}.expansion.output"])
    return norm(hidden, weights[f"{place}.norm"]).view(m, b, t, -1).mean(dim=2)


def _attend(
    queries_keys_values: Float[Tensor, "m b t three heads d"],
) -> Float[Tensor, "m bt width"]:
    """What each frame takes from all frames of its window."""
    m, b, t, *_ = queries_keys_values.shape
    query, key, value = queries_keys_values.flatten(0, 1).permute(2, 0, 3, 1, 4)
    attended = functional.scaled_dot_product_attention(query, key, value)
    return attended.transpose(1, 2).reshape(m, b * t, -1)


def _positions(
    num_frames: int, width: int, device: torch.device
) -> Float[Tensor, "{num_frames} {width}"]:
    """Sines and cosines of the number of the frame, one frequency a pair of columns."""
    frequency = _LONGEST_WAVE ** (-torch.arange(0, width, 2, device=device) / width)
    angle = torch.arange(num_frames, device=device)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]
