"""Layers of a pack: values of torch's own, and how they start."""

import pytest
import torch
from torch import Tensor, nn

from pricon.model.keyed import key_of
from pricon.model.layers import Layer, linear, norm

KEYS = torch.tensor([key_of("member", member) for member in range(3)])


def test_linear_and_norm_are_those_of_torch_for_each_member() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 5, 4, generator=generator)
    weight = torch.randn(3, 4, 6, generator=generator)
    bias = torch.randn(3, 1, 6, generator=generator)
    factors, shifts = torch.randn(2, 3, 1, 4, generator=generator)
    for member in range(3):
        plain = nn.functional.linear(inputs[member], weight[member].T, bias[member, 0])
        assert torch.allclose(linear(inputs, (weight, bias))[member], plain, atol=1e-6)
        plain = nn.functional.layer_norm(
            inputs[member], (4,), factors[member, 0], shifts[member, 0]
        )
        assert torch.allclose(norm(inputs, (factors, shifts))[member], plain, atol=1e-6)


@pytest.mark.parametrize("d_out", [1, 2, 4, 5])
@pytest.mark.parametrize("is_multiplied", [False, True])
def test_narrow_layers_are_linear_too_and_so_are_their_gradients(
    d_out: int, is_multiplied: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, weight, bias, kept = (
        torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        for shape in ((6, 7), (7, d_out), (1, d_out), (6, 7))
    )
    for one in (inputs, weight, bias):
        one.requires_grad_()
    factors = (kept > 0) * 2.0 if is_multiplied else None

    def layer(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return linear(inputs, (weight, bias), factors)

    plain = (inputs if factors is None else inputs * factors) @ weight + bias
    assert torch.allclose(layer(inputs, weight, bias), plain)
    assert torch.autograd.gradcheck(layer, (inputs, weight, bias))


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (Layer("linear", 16, 30), 0.25),
        (Layer("recurrent", 16, 3 * 25, "recurrent"), 0.2),
    ],
)
def test_weights_and_biases_start_uniformly_within_the_bound_of_torch(
    layer: Layer, bound: float
) -> None:
    start = layer.initial(KEYS)
    assert start.shape == (3, layer.size)
    assert 0.95 * bound < start.abs().max() <= bound
    assert start.mean().abs() < 0.1 * bound
    assert not torch.equal(start[0], start[1])
    assert torch.equal(start[1], layer.initial(KEYS[1:2])[0]), "a member's own start"


def test_norms_start_as_doing_nothing() -> None:
    start = Layer("norm", 1, 4, "norm").initial(KEYS)
    assert start.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 3


def test_bounds_are_those_of_torch_itself() -> None:
    torch.manual_seed(0)
    gru = nn.GRU(16, 25)
    assert max(float(one.detach().abs().max()) for one in gru.parameters()) == pytest.approx(
        0.2, rel=0.02
    )
    assert float(nn.Linear(16, 300).bias.detach().abs().max()) == pytest.approx(0.25, rel=0.02)
