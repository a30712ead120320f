"""Evaluation: no dropout, no gradients, and the same however windows are cut and shared."""

import math

import pytest
import torch

from pricon.heartbeat import beats
from pricon.model.keyed import Draws
from pricon.model.network import PackedNetwork, initial_parameters
from pricon.train.evaluation import evaluate
from pricon.train.ranks import Ranks
from tests.train.problem import examples, layout, separate

ROWS = torch.arange(50)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_evaluation_does_not_depend_on_chunks_or_draws_and_drops_nothing(chunk: int) -> None:
    data = examples("cross_entropy", [3, 3, 11], Ranks())
    network = PackedNetwork(
        layout("cross_entropy"), initial_parameters(layout("cross_entropy"), data.keys)
    )
    draws = Draws.among(["three", "three", "eleven"], torch.device("cpu"))
    inputs = data.inputs.gather(torch.arange(3), separate(3), ROWS.expand(3, -1))
    expected = network(inputs)
    for rows, shared in ((ROWS.expand(3, -1), None), (ROWS.expand(2, -1), draws)):
        before = beats()
        scores, embeddings = evaluate(
            network, data.inputs, rows, shared, chunk, wanted=("scores", "embedding")
        )
        assert beats() - before == math.ceil(50 / chunk)
        assert torch.allclose(embeddings, expected[0], rtol=0, atol=1e-5)
        assert torch.allclose(scores, expected[1], rtol=0, atol=1e-5)
        assert scores.shape == (3, 50, 2)
        assert not scores.requires_grad


def test_only_what_is_wanted_is_kept() -> None:
    data = examples("cross_entropy", [3], Ranks())
    network = PackedNetwork(
        layout("cross_entropy"), initial_parameters(layout("cross_entropy"), data.keys)
    )
    (scores,) = evaluate(network, data.inputs, ROWS[None])
    (embeddings,) = evaluate(network, data.inputs, ROWS[None], wanted=("embedding",))
    assert (scores.shape, embeddings.shape) == (
        (1, 50, 2),
        (1, 50, layout("cross_entropy").encoder.width),
    )
