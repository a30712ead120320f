"""Examples that are all on the device: each member has its own batches in its own order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from pricon.model.keyed import bits, derive, uniform
from pricon.model.network import Dropout, PackedNetwork
from pricon.train.evaluation import Output, evaluate
from pricon.train.examples import PADDING, Batch, Evaluation, Known, Part
from pricon.train.inputs import Inputs
from pricon.train.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """`Examples` in memory.

    Args:
        inputs: features or embeddings.
        windows: identity of each window in the corpus, shape (windows,).
        known: labels, and what teachers say.
        rows: rows of each member's splits, padded with -1, shape (members, most windows).
        counts: rows of each member's splits that are not padding.
        keys: random key of each member, shape (members,).
        batch_size: windows of the global batch.
        ranks: who shares it.
        strata: number of the stratum of each window, shape (draws, windows): training batches have
            their share of each; None for plain shuffling.
    """

    inputs: Inputs
    windows: Int64[Tensor, " windows"]
    known: Known
    rows: Mapping[Part, Int64[Tensor, "members most"]]
    counts: Mapping[Part, tuple[int, ...]]
    keys: Int64[Tensor, " members"]
    batch_size: int
    ranks: Ranks
    strata: Int64[Tensor, "draws windows"] | None = None

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator[Batch]:
        """See `Examples`."""
        keys = derive(self.keys, "dropout", epoch)
        yield from self._batches(live, "train", epoch, keys, after)

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        """See `Examples`."""
        yield from self._batches(live, "validation", 0, None)

    def evaluate(
        self, network: PackedNetwork, rows: Sequence[NDArray[np.int64]], *, embedded: bool = False
    ) -> list[Evaluation]:
        """See `Examples`."""
        draws = self.known.draws(tuple(range(len(rows))))
        first = padded([rows[member] for member in draws.first.tolist()], fill=0)
        wanted: tuple[Output, ...] = ("scores", "embedding") if embedded else ("scores",)
        whole = evaluate(network, self.inputs, first.to(self.keys.device), draws, wanted=wanted)
        return [
            Evaluation(
                scores=whole[0][member, : len(own)],
                embeddings=whole[1][member, : len(own)] if embedded else None,
            )
            for member, own in enumerate(rows)
        ]

    def _batches(
        self,
        live: tuple[int, ...],
        part: Part,
        epoch: int,
        dropout: Tensor | None,
        after: int = 0,
    ) -> Iterator[Batch]:
        """All but inputs is laid out for the whole epoch and cut, not looked up each step."""
        members = torch.tensor(live, device=self.keys.device)
        draws = self.known.draws(live)
        leaders = members[draws.first]
        order = self._order(leaders, part, epoch)
        cut = [self._even(rows) for rows in torch.split(order, self.batch_size, dim=1)]
        rows = torch.cat(cut, dim=1)
        valid, rows = draws.expand(rows != PADDING), rows.clamp(min=0)
        every = draws.expand(rows)
        labels = self.known.labels_at(members, every, valid)
        teacher = self.known.taught_at(members, every, valid)
        keys = None if dropout is None else dropout[leaders]
        counts = [self.counts[part][member] for member in live]
        stop = 0
        for number, start in enumerate(range(0, max(counts), self.batch_size)):
            width = cut[number].shape[1]
            whole = slice(stop, stop := stop + width)
            if number < after:
                continue
            size = width // self.ranks.size
            first = self.ranks.index * size
            own = slice(whole.start + first, whole.start + first + size)
            yield Batch(
                number=number,
                members=members,
                inputs=self.inputs.gather(members, draws, rows[:, own]),
                labels=labels[:, whole],
                valid=valid[:, whole],
                first=first,
                teacher=None if teacher is None else teacher[:, own],
                dropout=None if keys is None else Dropout(keys, self.windows[rows[:, own]], draws),
                has_windows=tuple(start < count for count in counts),
            )

    def _even(self, rows: Int64[Tensor, "d g"]) -> Int64[Tensor, "d even"]:
        """A global batch that ranks can share evenly."""
        return torch.nn.functional.pad(rows, (0, -rows.shape[1] % self.ranks.size), value=PADDING)

    def _order(self, members: Tensor, part: Part, epoch: int) -> Int64[Tensor, "m most"]:
        """Rows of each member, shuffled by its own key; padding comes last."""
        rows = self.rows[part][members]
        keys = derive(self.keys[members], f"{part} order", epoch)
        draws = bits(keys[:, None], self.windows[rows.clamp(min=0)])
        draws = draws.masked_fill(rows == PADDING, torch.iinfo(torch.int64).max)
        shuffled = rows.gather(1, draws.argsort(dim=1))
        if self.strata is None or part != "train":
            return shuffled
        strata = self.strata[self.known.draw_of[members]].gather(1, shuffled.clamp(min=0))
        strata = strata.masked_fill(shuffled == PADDING, torch.iinfo(torch.int64).max)
        return shuffled.gather(1, spread(strata, uniform(keys, 1)))


def padded(rows: Sequence[NDArray[np.int64]], fill: int) -> Int64[Tensor, "members most"]:
    """Rows of all members as one tensor, `fill` where a member has fewer than others."""
    most = max(map(len, rows))
    filled = [np.pad(one, (0, most - len(one)), constant_values=fill) for one in rows]
    return torch.from_numpy(np.stack(filled))


def spread(strata: Int64[Tensor, "m n"], phase: Float32[Tensor, "m one"]) -> Int64[Tensor, "m n"]:
    """An order in which every stratum is spread evenly, so that any stretch has its share of each.

    The k-th of c elements of a stratum stands at (k + u) / c of the way, with a u of its own for
    each stratum; elements of a stratum keep their order.

    Args:
        strata: number of each element's stratum; the largest number comes last as a whole.
        phase: in [0, 1), moves all u together.

    Returns:
        Positions in `strata`, as `argsort` gives them.
    """
    order = strata.argsort(dim=1, stable=True)
    sorted_strata = strata.gather(1, order).contiguous()
    first = torch.searchsorted(sorted_strata, sorted_strata)
    count = torch.searchsorted(sorted_strata, sorted_strata, right=True) - first
    rank = torch.arange(strata.shape[1], device=strata.device) - first
    own = (phase + first * _GOLDEN_RATIO) % 1.0
    place = (rank + own) / count
    place = place.masked_fill(sorted_strata == torch.iinfo(torch.int64).max, torch.inf)
    return order.gather(1, place.argsort(dim=1, stable=True))


_GOLDEN_RATIO = 0.6180339887498949
"""Multiples of it, modulo 1, lie far apart: strata do not start together."""
