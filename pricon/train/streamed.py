"""Examples that pass by: one order for all members, each of which sees the windows of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pricon.model.keyed import Draws, derive
from pricon.model.network import EMBEDDING, Dropout, PackedNetwork
from pricon.train.examples import PADDING, Batch, Evaluation, Known, Part
from pricon.train.ranks import Ranks
from pricon.train.streamed_windows import Pass, Passing, StreamedWindows


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What members make of features that all of them see: standardised, and embedded for probes.

    Args:
        mean: modality -> float32, shape (members, d_in).
        scale: modality -> float32, shape (members, d_in).
        frozen: each member's encoder, whose embeddings are its inputs; None where features are.
    """

    mean: Mapping[str, Float32[Tensor, "members d_in"]]
    scale: Mapping[str, Float32[Tensor, "members d_in"]]
    frozen: PackedNetwork | None = None

    def of(self, members: Int64[Tensor, " m"]) -> "Shown":
        """The same for some members."""
        frozen = self.frozen
        if frozen is not None and len(members) < len(frozen.parameters_by_member):
            frozen = PackedNetwork(frozen.layout, frozen.parameters_by_member[members].detach())
        return Shown(
            mean={name: mean[members] for name, mean in self.mean.items()},
            scale={name: scale[members] for name, scale in self.scale.items()},
            frozen=frozen,
        )

    @torch.no_grad()
    def inputs(self, raw: Mapping[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Input name -> float32, shape (members, b, d_in), or (members, b, frames, d_in).

        Args:
            raw: modality -> features, shape (b, d_in) or (b, frames, d_in).
            draws: which members standardise alike.
        """
        standardised = {}
        for name, values in raw.items():
            once = (len(draws.first), *(1,) * (values.dim() - 1), -1)
            mean, scale = (of[name][draws.first].view(once) for of in (self.mean, self.scale))
            own = (values - mean).mul_(scale).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
            standardised[name] = draws.expand(own)
        if self.frozen is None:
            return standardised
        embedding, _ = self.frozen(standardised)
        return {EMBEDDING: embedding}


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """`Examples` of which a buffer is in memory.

    All members get the same windows in the same order, so that one pass over the corpus feeds them
    all; those that are not of a member's split are masked. The order depends on nobody in the pack.

    Args:
        source: where windows come from.
        modalities: whose features are read.
        as_sequence: frames, or their mean.
        shown: what members make of them.
        known: labels, and what teachers say.
        inside: which windows are of each draw's splits, shape (draws, windows).
        keys: random key of each member, shape (members,).
        ranks: who shares a batch.
    """

    source: StreamedWindows
    modalities: Sequence[str]
    as_sequence: bool
    shown: Shown
    known: Known
    inside: Mapping[Part, Bool[Tensor, "draws windows"]]
    keys: Int64[Tensor, " members"]
    ranks: Ranks

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator[Batch]:
        """See `Examples`."""
        dropout = derive(self.keys, "dropout", epoch)
        one = Pass("train", epoch, after, self.ranks)
        yield from self._batches(live, "train", one, dropout)

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        """See `Examples`."""
        yield from self._batches(live, "validation", Pass("validation", ranks=self.ranks), None)

    @torch.no_grad()
    def evaluate(
        self, network: PackedNetwork, rows: Sequence[NDArray[np.int64]], *, embedded: bool = False
    ) -> list[Evaluation]:
        """See `Examples`; in one pass over the participants that have these windows."""
        draws = self.known.draws(tuple(range(len(rows))))
        wanted = [rows[leader] for leader in draws.first.tolist()]
        people = np.unique(self.source.index.participant[np.unique(np.concatenate(wanted))])
        passing = self._passing(Pass("evaluation", participants=tuple(people.tolist())))
        whole: tuple[Tensor, ...] = ()
        most = max(map(len, wanted))
        for one in passing:
            embeddings, scores = network(self.shown.inputs(self._on_device(one.features), draws))
            parts = (scores, embeddings) if embedded else (scores,)
            whole = whole or tuple(part.new_empty(len(rows), most, part.shape[2]) for part in parts)
            for draw, own in enumerate(wanted):
                at = np.searchsorted(own, one.rows[0]).clip(max=len(own) - 1)
                is_own = np.flatnonzero(own[at] == one.rows[0])
                members = torch.nonzero(draws.of == draw)
                for of, part in zip(whole, parts, strict=True):
                    of[members, at[is_own]] = part[members, is_own]
        return [
            Evaluation(*(of[member, : len(own)] for of in whole)) for member, own in enumerate(rows)
        ]

    def _batches(
        self, live: tuple[int, ...], part: Part, read: Pass, dropout: Tensor | None
    ) -> Iterator[Batch]:
        members = torch.tensor(live, device=self.keys.device)
        draws = self.known.draws(live)
        leaders = members[draws.first]
        shown = self.shown.of(members)
        inside = self.inside[part][self.known.draw_of[leaders]]
        windows = torch.from_numpy(self.source.index.window).to(members.device)
        for one in self._passing(read):
            size = one.rows.shape[1]
            first = self.ranks.index * size
            own = slice(first, first + size)
            rows = torch.from_numpy(one.rows.flatten()).to(members.device)
            there, rows = rows != PADDING, rows.clamp(min=0)
            valid = draws.expand(inside[:, rows] & there)
            every = rows.expand(len(live), -1)
            features = {
                name: functional.pad(values, (0, 0) * (values.dim() - 1) + (0, size - len(values)))
                for name, values in self._on_device(one.features).items()
            }
            yield Batch(
                members=members,
                inputs=shown.inputs(features, draws),
                labels=self.known.labels_at(members, every, valid),
                valid=valid,
                first=first,
                teacher=self.known.taught_at(members, every[:, own], valid[:, own]),
                dropout=None
                if dropout is None
                else Dropout(dropout[leaders], windows[rows[own]].expand(len(leaders), -1), draws),
                has_windows=tuple(valid.any(dim=1).tolist()),
            )

    def _passing(self, one: Pass) -> Iterator[Passing]:
        return self.source.passing(one, self.modalities, self.as_sequence)

    def _on_device(self, features: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(values).to(self.keys.device) for name, values in features.items()
        }
