"""Examples that pass by: one pass over a corpus feeds all members, each with windows of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from pricon.model.keyed import Draws, derive
from pricon.model.network import EMBEDDING, Dropout, PackedNetwork
from pricon.model.precision import steps_in
from pricon.train.dealing import Deal, Dealer
from pricon.train.examples import PADDING, Batch, Evaluation, Known, Part
from pricon.train.ranks import Ranks
from pricon.train.streamed_windows import Pass, StreamedWindows


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What members make of features: standardised, and embedded for probes.

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
        if frozen is not None:
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
            raw: modality -> features, shape (draws, b, d_in) or (draws, b, frames, d_in); of one
                draw, where all have the same windows.
            draws: which members standardise alike.
        """
        standardised = {}
        for name, values in raw.items():
            once = (len(draws.first), *(1,) * (values.dim() - 2), -1)
            mean, scale = (of[name][draws.first].view(once) for of in (self.mean, self.scale))
            own = (values - mean).mul_(scale).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
            standardised[name] = draws.expand(own)
        if self.frozen is None:
            return standardised
        # As in memory, where embeddings are made before the steps and their precision.
        with steps_in("float32", self.frozen.parameters_by_member.device):
            embedding, _ = self.frozen(standardised)
        return {EMBEDDING: embedding}


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """`Examples` of which a buffer is in memory.

    Members get the windows of their own splits in orders and batches of their own; nothing of
    others reaches their networks. The order of shards is one for all, and depends on nobody in the
    pack.

    Args:
        source: where windows come from.
        modalities: whose features are read.
        as_sequence: frames, or their mean.
        shown: what members make of them.
        known: labels, and what teachers say.
        inside: which windows are of each draw's splits, shape (draws, windows), not on a device.
        keys: random key of each member, shape (members,).
        batch_size: windows of the global batch.
        ranks: who shares it.
    """

    source: StreamedWindows
    modalities: Sequence[str]
    as_sequence: bool
    shown: Shown
    known: Known
    inside: Mapping[Part, Bool[np.ndarray, "draws windows"]]
    keys: Int64[Tensor, " members"]
    batch_size: int
    ranks: Ranks

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator[Batch]:
        """See `Examples`."""
        deals = self.dealer(live, "train", epoch).deal(after)
        yield from self._batches(live, deals, derive(self.keys, "dropout", epoch))

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        """See `Examples`."""
        yield from self._batches(live, self.dealer(live, "validation").deal(), None)

    def dealer(self, live: tuple[int, ...], part: Part, epoch: int = 0) -> Dealer:
        """Who deals a split to the draws of these members, each in the order of its own key."""
        members = torch.tensor(live, device=self.keys.device)
        draws = self.known.draws(live)
        keys = derive(self.keys[members[draws.first]], f"{part} order", epoch)
        return Dealer(
            stream=self.source.stream(Pass(part, epoch), self.modalities, self.as_sequence),
            window=self.source.index.window,
            inside=self.inside[part][self.known.draw_of[members[draws.first]].cpu().numpy()],
            keys=keys.tolist(),
            batch_size=self.batch_size,
            ranks=self.ranks,
            waits=part == "validation",
        )

    @torch.no_grad()
    def evaluate(
        self, network: PackedNetwork, rows: Sequence[NDArray[np.int64]], *, embedded: bool = False
    ) -> list[Evaluation]:
        """See `Examples`; in one pass over the participants that have these windows."""
        draws = self.known.draws(tuple(range(len(rows))))
        wanted = [rows[leader] for leader in draws.first.tolist()]
        members = [torch.nonzero(draws.of == draw).cpu() for draw in range(len(wanted))]
        people = np.unique(self.source.index.participant[np.unique(np.concatenate(wanted))])
        whole: tuple[Tensor, ...] = ()
        one = Pass("evaluation", participants=tuple(people.tolist()))
        for passing in self.source.passing(one, self.modalities, self.as_sequence):
            features = {name: values[None] for name, values in passing.features.items()}
            embeddings, scores = network(self.shown.inputs(self._on_device(features), draws))
            parts = (scores.cpu(), embeddings.cpu()) if embedded else (scores.cpu(),)
            shape = len(rows), max(map(len, wanted))
            whole = whole or tuple(part.new_empty(*shape, part.shape[2]) for part in parts)
            for own, of_draw in zip(wanted, members, strict=True):
                at = np.searchsorted(own, passing.rows).clip(max=len(own) - 1)
                is_own = np.flatnonzero(own[at] == passing.rows)
                for of, part in zip(whole, parts, strict=True):
                    of[of_draw, at[is_own]] = part[of_draw, is_own]
        return [
            Evaluation(*(of[member, : len(own)] for of in whole)) for member, own in enumerate(rows)
        ]

    def _batches(
        self, live: tuple[int, ...], deals: Iterator[Deal], dropout: Tensor | None
    ) -> Iterator[Batch]:
        members = torch.tensor(live, device=self.keys.device)
        draws = self.known.draws(live)
        draw_of = draws.of.tolist()
        shown, leaders = self.shown.of(members), members[draws.first]
        for deal in deals:
            size = deal.rows.shape[2]
            first = self.ranks.index * size
            own = slice(first, first + size)
            has_windows = (deal.rows != PADDING).any(axis=(1, 2))
            rows = torch.from_numpy(deal.rows.reshape(len(deal.rows), -1)).to(members.device)
            valid, rows = draws.expand(rows != PADDING), rows.clamp(min=0)
            every = draws.expand(rows)
            windows = self.source.index.window[deal.rows[:, self.ranks.index].clip(min=0)]
            yield Batch(
                number=deal.number,
                members=members,
                inputs=shown.inputs(self._on_device(deal.features), draws),
                labels=self.known.labels_at(members, every, valid),
                valid=valid,
                first=first,
                teacher=self.known.taught_at(members, every[:, own], valid[:, own]),
                dropout=None
                if dropout is None
                else Dropout(dropout[leaders], torch.from_numpy(windows).to(members.device), draws),
                has_windows=tuple(bool(has_windows[draw]) for draw in draw_of),
            )

    def _on_device(self, features: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(values).to(self.keys.device) for name, values in features.items()
        }
