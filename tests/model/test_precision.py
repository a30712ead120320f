"""Products of less than float32 stay inside: what comes out is float32, and close."""

import pytest
import torch

from pricon.model.network import Layout, PackedNetwork, initial_parameters
from pricon.model.precision import steps_in
from pricon.spec.training import EncoderSpec, Precision

LAYOUT = Layout(widths=(("a", 12), ("b", 7)), encoder=EncoderSpec(), head="classes")
KEYS = torch.tensor([3, 4])
INPUTS = {
    "a": torch.randn(2, 64, 12, generator=torch.Generator().manual_seed(0)),
    "b": torch.randn(2, 64, 7, generator=torch.Generator().manual_seed(1)),
}


def outputs(precision: Precision) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embedding, scores, and the gradient of their sum."""
    network = PackedNetwork(LAYOUT, initial_parameters(LAYOUT, KEYS), precision)
    with steps_in(precision, torch.device("cpu")):
        embedding, scores = network(INPUTS)
        (embedding.sum() + scores.sum()).backward()
    gradient = network.parameters_by_member.grad
    assert gradient is not None
    return embedding.detach(), scores.detach(), gradient


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_types_stay_and_values_are_close(precision: Precision) -> None:
    for exact, rounded in zip(outputs("float32"), outputs(precision), strict=True):
        assert rounded.dtype is torch.float32
        assert (exact - rounded).norm() < 0.02 * exact.norm()


def test_bf16_rounds_and_tf32_needs_a_gpu() -> None:
    exact = outputs("float32")[1]
    assert not torch.equal(exact, outputs("bf16")[1])
    assert torch.equal(exact, outputs("tf32")[1])


def test_tf32_is_taken_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    with steps_in("tf32", torch.device("cuda")):
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 is before
