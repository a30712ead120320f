"""What trained models make of windows."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from pricon.model.keyed import Streams
from pricon.model.network import PackedNetwork
from pricon.train.examples import Inputs


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Outputs of m members for r windows each: (m, r, width) and (m, r, d_out)."""

    embeddings: Tensor
    scores: Tensor


@torch.no_grad()
def evaluate(
    network: PackedNetwork,
    inputs: Inputs,
    rows: Int64[Tensor, "s r"],
    streams: Streams | None = None,
    chunk: int = 256,
) -> Evaluation:
    """Run all members over windows of their own, without dropout.

    Args:
        network: the members.
        inputs: where windows come from.
        rows: of each stream.
        streams: which members read the same rows; None where each has its own.
        chunk: windows at a time, fewer of them where they are sequences.
    """
    streams = streams or Streams.among(range(len(rows)), rows.device)
    members = torch.arange(len(streams.of), device=rows.device)
    chunks = torch.split(rows, max(chunk // inputs.frames, 1), dim=1)
    whole: tuple[Tensor, ...] = ()
    stop = 0
    for some in chunks:
        parts = network(inputs.gather(members, streams, some))
        # Written in place: parts that are kept and joined take twice the memory.
        whole = whole or tuple(
            part.new_empty(len(members), rows.shape[1], part.shape[2]) for part in parts
        )
        start, stop = stop, stop + some.shape[1]
        for of, part in zip(whole, parts, strict=True):
            of[:, start:stop] = part
    return Evaluation(*whole)
