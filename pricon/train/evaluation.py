"""What trained models make of windows that are all on the device."""

import torch
from jaxtyping import Int64
from torch import Tensor

from pricon.model.keyed import Draws
from pricon.model.network import PackedNetwork
from pricon.train.inputs import Inputs


@torch.no_grad()
def evaluate(
    network: PackedNetwork,
    inputs: Inputs,
    rows: Int64[Tensor, "d r"],
    draws: Draws | None = None,
    chunk: int = 256,
) -> tuple[Tensor, Tensor]:
    """Run all members over windows of their own, without dropout.

    Args:
        network: the members.
        inputs: where windows come from.
        rows: of each draw.
        draws: which members read the same rows; None where each has its own.
        chunk: windows at a time, fewer of them where they are sequences.

    Returns:
        Embeddings, shape (members, r, width), and scores, shape (members, r, d_out).
    """
    draws = draws or Draws.among(range(len(rows)), rows.device)
    members = torch.arange(len(draws.of), device=rows.device)
    chunks = torch.split(rows, max(chunk // inputs.frames, 1), dim=1)
    whole: tuple[Tensor, ...] = ()
    stop = 0
    for some in chunks:
        parts = network(inputs.gather(members, draws, some))
        # Written in place: parts that are kept and joined take twice the memory.
        whole = whole or tuple(
            part.new_empty(len(members), rows.shape[1], part.shape[2]) for part in parts
        )
        start, stop = stop, stop + some.shape[1]
        for of, part in zip(whole, parts, strict=True):
            of[:, start:stop] = part
    embeddings, scores = whole
    return embeddings, scores
