"""What trained models make of windows that are all on the device."""

from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from pricon.heartbeat import beat
from pricon.model.keyed import Draws
from pricon.model.network import PackedNetwork
from pricon.train.inputs import Inputs

Output = Literal["embedding", "scores"]
"""What a network says of a window."""

_OUTPUTS: tuple[Output, ...] = ("embedding", "scores")


@torch.no_grad()
def evaluate(
    network: PackedNetwork,
    inputs: Inputs,
    rows: Int64[Tensor, "d r"],
    draws: Draws | None = None,
    chunk: int = 256,
    *,
    wanted: tuple[Output, ...] = ("scores",),
) -> tuple[Tensor, ...]:
    """Run all members over windows of their own, without dropout.

    Args:
        network: the members.
        inputs: where windows come from.
        rows: of each draw.
        draws: which members read the same rows; None where each has its own.
        chunk: windows at a time, fewer of them where they are sequences.
        wanted: what to keep; nothing else takes memory.

    Returns:
        Embeddings, shape (members, r, width), or scores, shape (members, r, d_out), or both, in
        the order in which they are wanted.
    """
    draws = draws or Draws.among(range(len(rows)), rows.device)
    members = torch.arange(len(draws.of), device=rows.device)
    chunks = torch.split(rows, max(chunk // inputs.frames, 1), dim=1)
    at = [_OUTPUTS.index(output) for output in wanted]
    whole: tuple[Tensor, ...] = ()
    stop = 0
    for some in chunks:
        outputs = network(inputs.gather(members, draws, some))
        parts = [outputs[position] for position in at]
        # Written in place: parts that are kept and joined take twice the memory.
        whole = whole or tuple(
            part.new_empty(len(members), rows.shape[1], part.shape[2]) for part in parts
        )
        start, stop = stop, stop + some.shape[1]
        for of, part in zip(whole, parts, strict=True):
            of[:, start:stop] = part
        beat()
    return whole
