"""Each row of a packed network is the ordinary network; nothing leaks from row to row."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pricon.model.keyed import derive, dropout_mask, key_of
from pricon.model.network import EMBEDDING, Dropout, Layout, PackedNetwork, initial_parameters
from pricon.spec.training import EncoderSpec
from tests.train.problem import separate

ACTIVATIONS = {"relu": nn.ReLU(), "gelu": nn.GELU(), "tanh": nn.Tanh()}
KEYS = torch.tensor([key_of("member", member) for member in range(4)])
BATCH = 9

LAYOUTS = {
    "one modality": Layout(widths=(("ecg", 5),), encoder=EncoderSpec(width=8), head="classes"),
    "three modalities": Layout(
        widths=(("audio", 3), ("ecg", 5), ("video", 7)),
        encoder=EncoderSpec(width=8),
        head="classes",
    ),
    "deep gelu": Layout(
        widths=(("audio", 3), ("ecg", 5)),
        encoder=EncoderSpec(width=6, depth=2, activation="gelu"),
        head="classes",
    ),
    "projection": Layout(
        widths=(("audio", 3), ("ecg", 5)),
        encoder=EncoderSpec(width=6, activation="tanh"),
        head="projection",
        projection_width=4,
    ),
    "bare encoder": Layout(
        widths=(("ecg", 5),), encoder=EncoderSpec(width=6, depth=3), head="none"
    ),
    "probe": Layout(
        widths=((EMBEDDING, 6),), encoder=EncoderSpec(width=6), head="classes", is_probe=True
    ),
    "value": Layout(widths=(("audio", 3), ("ecg", 5)), encoder=EncoderSpec(width=6), head="value"),
}
SIZES = {
    "one modality": 6 * 8 + 9 * 2,
    "three modalities": (4 + 6 + 8) * 8 + 25 * 8 + 9 * 2,
    "deep gelu": (4 + 6) * 6 + 2 * 7 * 6 + 13 * 6 + 7 * 2,
    "projection": (4 + 6) * 6 + 13 * 6 + 7 * 6 + 7 * 4,
    "bare encoder": 6 * 6 + 2 * 7 * 6,
    "probe": 7 * 2,
    "value": (4 + 6) * 6 + 13 * 6 + 7,
}
every_layout = pytest.mark.parametrize("name", LAYOUTS)


def inputs_for(layout: Layout, members: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(members, BATCH, width, generator=generator)
        for name, width in layout.widths
    }


class PlainNetwork(nn.Module):
    """The same model as torch's own layers would write it; knows only its layers' names."""

    def __init__(self, layout: Layout, parameters: Tensor) -> None:
        super().__init__()
        self.layout = layout
        self.activation = ACTIVATIONS[layout.encoder.activation]
        self.linear = {layer.name: nn.Linear(layer.d_in, layer.d_out) for layer in layout.layers}
        position = 0
        for layer in layout.layers:
            end = position + layer.d_in * layer.d_out
            weight = parameters[position:end].view(layer.d_in, layer.d_out)
            self.linear[layer.name].weight.data = weight.T.clone()
            self.linear[layer.name].bias.data = parameters[end : end + layer.d_out].clone()
            position = end + layer.d_out
        assert position == len(parameters)

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        embedding = inputs[EMBEDDING] if self.layout.is_probe else self.embed(inputs)
        if self.layout.head in ("classes", "value"):
            return embedding, self.linear["head"](embedding)
        if self.layout.head == "projection":
            hidden = self.activation(self.linear["projection.0"](embedding))
            return embedding, self.linear["projection.1"](hidden)
        return embedding, embedding

    def embed(self, inputs: dict[str, Tensor]) -> Tensor:
        encoded = []
        for name, _ in self.layout.widths:
            hidden = inputs[name]
            for depth in range(self.layout.encoder.depth):
                hidden = self.activation(self.linear[f"encoder.{name}.{depth}"](hidden))
            encoded.append(hidden)
        if len(encoded) == 1:
            return encoded[0]
        fused: Tensor = self.activation(self.linear["fusion"](torch.cat(encoded, dim=1)))
        return fused


@every_layout
def test_each_row_computes_what_the_plain_network_does(name: str) -> None:
    layout = LAYOUTS[name]
    parameters = initial_parameters(layout, KEYS)
    inputs = inputs_for(layout, len(KEYS))
    embedding, scores = PackedNetwork(layout, parameters)(inputs)
    for member in range(len(KEYS)):
        plain = PlainNetwork(layout, parameters[member])
        expected = plain({modality: rows[member] for modality, rows in inputs.items()})
        assert torch.allclose(embedding[member], expected[0], rtol=0, atol=1e-6)
        assert torch.allclose(scores[member], expected[1], rtol=0, atol=1e-6)
    assert (embedding[0] - embedding[1]).abs().max() > 1e-2 or layout.is_probe


@every_layout
def test_a_layout_counts_its_parameters(name: str) -> None:
    layout = LAYOUTS[name]
    assert layout.size == SIZES[name]
    assert initial_parameters(layout, KEYS).shape == (len(KEYS), SIZES[name])


def test_layers_in_their_order() -> None:
    names = [layer.name for layer in LAYOUTS["deep gelu"].layers]
    assert names == [
        "encoder.audio.0", "encoder.audio.1", "encoder.ecg.0", "encoder.ecg.1", "fusion", "head",
    ]  # fmt: skip
    assert [layer.name for layer in LAYOUTS["probe"].layers] == ["head"]


@every_layout
def test_initial_parameters_fill_the_range_of_their_layer(name: str) -> None:
    layout = LAYOUTS[name]
    keys = torch.tensor([key_of("many", member) for member in range(200)])
    parameters = initial_parameters(layout, keys)
    parts = parameters.split([layer.size for layer in layout.layers], dim=1)  # type: ignore[no-untyped-call]
    for layer, part in zip(layout.layers, parts, strict=True):
        bound = layer.d_in**-0.5
        assert part.abs().max() <= bound
        assert part.max() > 0.98 * bound
        assert part.min() < -0.98 * bound
        assert part.mean().abs() < 0.05 * bound
        assert part.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


@every_layout
def test_initial_parameters_do_not_depend_on_the_pack(name: str) -> None:
    layout = LAYOUTS[name]
    together = initial_parameters(layout, KEYS)
    for member in range(len(KEYS)):
        alone = initial_parameters(layout, KEYS[member : member + 1])
        assert torch.equal(alone[0], together[member])
    assert not torch.equal(together[0], together[1])


def test_an_encoder_starts_alike_with_and_without_other_modalities_or_heads() -> None:
    """A layer's start depends on key and name, so that arms differ in nothing else."""
    both = Layout(
        widths=(("audio", 3), ("ecg", 5)), encoder=EncoderSpec(width=8), head="projection",
        projection_width=4,
    )  # fmt: skip
    first = initial_parameters(LAYOUTS["one modality"], KEYS)[:, : 6 * 8]
    start = 4 * 8
    assert torch.equal(initial_parameters(both, KEYS)[:, start : start + 6 * 8], first)


@every_layout
def test_the_loss_of_one_member_moves_its_own_row_alone(name: str) -> None:
    layout = LAYOUTS[name]
    network = PackedNetwork(layout, initial_parameters(layout, KEYS))
    _, scores = network(inputs_for(layout, len(KEYS)))
    scores[2].square().sum().backward()
    gradient = network.parameters_by_member.grad
    assert gradient is not None
    assert gradient[2].abs().max() > 1e-3
    assert torch.equal(gradient[[0, 1, 3]], torch.zeros(3, layout.size))


@pytest.mark.parametrize("head", ["classes", "value"])
def test_dropout_zeroes_the_embedding_in_front_of_a_predicting_head_only(head: Any) -> None:
    layout = Layout(widths=(("ecg", 5),), encoder=EncoderSpec(width=8, dropout=0.5), head=head)
    parameters = initial_parameters(layout, KEYS)
    network = PackedNetwork(layout, parameters)
    inputs = inputs_for(layout, len(KEYS))
    dropout = Dropout(
        derive(KEYS, "dropout", 3), torch.arange(BATCH).expand(len(KEYS), -1), separate(len(KEYS))
    )
    clean, _ = network(inputs)
    embedding, logits = network(inputs, dropout)
    assert torch.equal(embedding, clean)
    mask = dropout_mask(dropout.keys, dropout.windows, 8, 0.5)
    assert {*mask.flatten().tolist()} == {0.0, 2.0}
    for member in range(len(KEYS)):
        head = PlainNetwork(layout, parameters[member]).linear["head"]
        expected = head(clean[member] * mask[member])
        assert torch.allclose(logits[member], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("head", ["projection", "none"])
def test_no_dropout_without_a_class_head(head: str) -> None:
    layout = LAYOUTS["projection" if head == "projection" else "bare encoder"]
    network = PackedNetwork(layout, initial_parameters(layout, KEYS))
    inputs = inputs_for(layout, len(KEYS))
    dropout = Dropout(KEYS, torch.arange(BATCH).expand(len(KEYS), -1), separate(len(KEYS)))
    assert torch.equal(network(inputs, dropout)[1], network(inputs)[1])
