"""Encoders over time are torch's own GRU and transformer, for each member of a pack."""

import pytest
import torch
from torch import Tensor, nn

from pricon.model.encoders import encode, encoder_layers
from pricon.model.keyed import key_of
from pricon.model.layers import Weights
from pricon.spec.training import EncoderSpec

MEMBERS, BATCH, FRAMES, WIDTH = 3, 5, 7, 4
KEYS = torch.tensor([key_of("member", member) for member in range(MEMBERS)])
GRU = EncoderSpec(kind="gru", width=6, depth=2)
TRANSFORMER = EncoderSpec(
    kind="transformer", width=6, depth=2, heads=3, expansion=3, activation="gelu"
)


def weights_of(spec: EncoderSpec) -> Weights:
    """As they start, but for norms, which would do nothing."""
    weights = {}
    for layer in encoder_layers(spec, "eda", WIDTH):
        start = layer.initial(KEYS)
        if layer.start == "norm":
            start = start + torch.linspace(-0.3, 0.3, layer.size)
        weight, bias = start.split([layer.d_in * layer.d_out, layer.d_out], dim=1)  # type: ignore[no-untyped-call]
        weights[layer.name] = weight.view(MEMBERS, layer.d_in, layer.d_out), bias[:, None]
    return weights


def frames() -> Tensor:
    return torch.randn(MEMBERS, BATCH, FRAMES, WIDTH, generator=torch.Generator().manual_seed(1))


def copy(weights: Weights, name: str, member: int, weight: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        weight.copy_(weights[name][0][member].T.squeeze())
        bias.copy_(weights[name][1][member, 0])


@pytest.mark.parametrize("member", range(MEMBERS))
def test_gru(member: int) -> None:
    weights = weights_of(GRU)
    plain = nn.GRU(WIDTH, 6, num_layers=2, batch_first=True)
    for depth in (0, 1):
        for kind, torchs in (("input", "ih"), ("state", "hh")):
            weight, bias = (getattr(plain, f"{of}_{torchs}_l{depth}") for of in ("weight", "bias"))
            copy(weights, f"encoder.eda.{depth}.{kind}", member, weight, bias)
    _, last = plain(frames()[member])
    found = encode(GRU, weights, "eda", frames())
    assert found.shape == (MEMBERS, BATCH, 6)
    assert torch.allclose(found[member], last[-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("member", range(MEMBERS))
def test_transformer(member: int) -> None:
    weights = weights_of(TRANSFORMER)
    entry = nn.Linear(WIDTH, 6)
    copy(weights, "encoder.eda.input", member, entry.weight, entry.bias)
    hidden = entry(frames()[member]) + sines(FRAMES, 6)
    for depth in (0, 1):
        block = nn.TransformerEncoderLayer(
            6, nhead=3, dim_feedforward=18, dropout=0, activation="gelu", batch_first=True,
            norm_first=True,
        )  # fmt: skip
        place = f"encoder.eda.{depth}"
        attention = block.self_attn
        assert attention.in_proj_weight is not None
        assert attention.in_proj_bias is not None
        for name, weight, bias in (
            ("attention.norm", block.norm1.weight, block.norm1.bias),
            ("attention.input", attention.in_proj_weight, attention.in_proj_bias),
            ("attention.output", attention.out_proj.weight, attention.out_proj.bias),
            ("expansion.norm", block.norm2.weight, block.norm2.bias),
            ("expansion.input", block.linear1.weight, block.linear1.bias),
            ("expansion.output", block.linear2.weight, block.linear2.bias),
        ):
            copy(weights, f"{place}.{name}", member, weight, bias)
        hidden = block.train()(hidden)
    last = nn.LayerNorm(6)
    copy(weights, "encoder.eda.norm", member, last.weight, last.bias)
    expected = last(hidden).mean(dim=1)
    found = encode(TRANSFORMER, weights, "eda", frames())
    assert torch.allclose(found[member], expected, rtol=0, atol=1e-5)


def sines(num_frames: int, width: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5, number by number."""
    table = torch.zeros(num_frames, width)
    for frame in range(num_frames):
        for pair in range(0, width, 2):
            angle = torch.tensor(frame / 10_000 ** (pair / width))
            table[frame, pair] = torch.sin(angle)
            if pair + 1 < width:
                table[frame, pair + 1] = torch.cos(angle)
    return table


def test_an_odd_width_has_positions_too() -> None:
    spec = EncoderSpec(kind="transformer", width=5, heads=5)
    assert torch.isfinite(encode(spec, weights_of(spec), "eda", frames())).all()


@pytest.mark.parametrize("spec", [GRU, TRANSFORMER], ids=["gru", "transformer"])
def test_the_order_of_frames_matters_and_other_windows_do_not(spec: EncoderSpec) -> None:
    weights, seen = weights_of(spec), frames()
    encoded = encode(spec, weights, "eda", seen)
    assert (encode(spec, weights, "eda", seen.flip(2)) - encoded).abs().max() > 1e-3
    alone = encode(spec, weights, "eda", seen[:, 2:3])
    assert torch.allclose(alone[:, 0], encoded[:, 2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("spec", [GRU, TRANSFORMER], ids=["gru", "transformer"])
def test_gradients_reach_every_parameter_of_its_own_member_only(spec: EncoderSpec) -> None:
    weights = weights_of(spec)
    leaves = [one.detach().requires_grad_() for pair in weights.values() for one in pair]
    pairs = zip(leaves[::2], leaves[1::2], strict=True)
    encoded = encode(spec, dict(zip(weights, pairs, strict=True)), "eda", frames())
    (encoded[1] * torch.linspace(-1, 1, 6)).sum().backward()  # type: ignore[no-untyped-call]
    for name, leaf in zip([name for name in weights for _ in (0, 1)], leaves, strict=True):
        assert leaf.grad is not None
        assert leaf.grad[1].abs().sum() > 0, name
        assert leaf.grad[[0, 2]].abs().sum() == 0, name
