"""What a pack reads: windows on the device, and every member's own batches of them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from pricon.model.keyed import Streams, bits, derive, uniform
from pricon.model.network import EMBEDDING, Dropout
from pricon.train.ranks import Ranks

Part = Literal["train", "validation"]
PADDING = -1
"""Row number where a member has fewer windows than others of its pack."""


class Inputs(Protocol):
    """Where a batch's network inputs come from."""

    @property
    def frames(self) -> int:
        """Frames of a window; 1 where windows are vectors."""
        ...

    def gather(
        self, members: Int64[Tensor, " m"], streams: Streams, rows: Int64[Tensor, "s b"]
    ) -> dict[str, Tensor]:
        """Input name -> float32, shape (m, b, d_in), or (m, b, frames, d_in) for sequences.

        Args:
            members: positions in the pack.
            streams: which of them read the same rows.
            rows: of each stream.
        """
        ...


@dataclass(frozen=True, slots=True)
class Features:
    """Raw features that all members share, standardised for each stream's own fold on the way.

    Args:
        raw: modality -> float32, shape (windows, d_in) or (windows, frames, d_in); NaN where
            nothing was recorded.
        mean: modality -> float32, shape (members, d_in).
        scale: modality -> float32, shape (members, d_in).
    """

    raw: Mapping[str, Float32[Tensor, "windows ..."]]
    mean: Mapping[str, Float32[Tensor, "members d_in"]]
    scale: Mapping[str, Float32[Tensor, "members d_in"]]

    @property
    def frames(self) -> int:
        """See `Inputs`."""
        return max(raw.shape[1] if raw.dim() == 3 else 1 for raw in self.raw.values())

    def gather(
        self, members: Int64[Tensor, " m"], streams: Streams, rows: Int64[Tensor, "s b"]
    ) -> dict[str, Tensor]:
        """Standardised features; see `Inputs`."""
        standardised = {}
        for name, raw in self.raw.items():
            values = raw.index_select(0, rows.flatten()).view(*rows.shape, *raw.shape[1:])
            once = (len(rows), *(1,) * (raw.dim() - 1), -1)
            leaders = members[streams.first]
            mean, scale = (of[name][leaders].view(once) for of in (self.mean, self.scale))
            values.sub_(mean).mul_(scale).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
            standardised[name] = streams.expand(values)
        return standardised


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Outputs of each member's frozen encoder, float32, shape (members, windows, width)."""

    values: Float32[Tensor, "members windows width"]

    @property
    def frames(self) -> int:
        """See `Inputs`."""
        return 1

    def gather(
        self, members: Int64[Tensor, " m"], streams: Streams, rows: Int64[Tensor, "s b"]
    ) -> dict[str, Tensor]:
        """Embeddings; see `Inputs`."""
        rows = streams.expand(rows)
        # As a selection of whole rows: plain indexing goes element by element.
        flat = (members[:, None] * self.values.shape[1] + rows).flatten()
        return {EMBEDDING: self.values.flatten(0, 1).index_select(0, flat).view(*rows.shape, -1)}


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's windows, for all live members of a pack.

    Shapes: m live members, b windows of this rank, g = ranks * b windows of the global batch.

    Args:
        members: positions of the live members in the pack, shape (m,).
        inputs: name -> standardised features of this rank's windows, shape (m, b, d_in), or (m, b,
            frames, d_in) for sequences.
        labels: classes, int64, or values, float32, of the global batch, shape (m, g); 0 where
            padded.
        valid: windows of the global batch that are not padding, shape (m, g).
        first: where this rank's windows start in the global batch.
        teacher: logits or embeddings of the teacher for this rank's windows, shape (m, b, c), or
            None.
        dropout: None outside training.
        has_windows: whether a member has any window in the global batch.
    """

    members: Int64[Tensor, " m"]
    inputs: dict[str, Tensor]
    labels: Int64[Tensor, "m g"] | Float32[Tensor, "m g"]
    valid: Bool[Tensor, "m g"]
    first: int
    teacher: Float32[Tensor, "m b c"] | None
    dropout: Dropout | None
    has_windows: tuple[bool, ...]

    @property
    def own(self) -> slice:
        """This rank's windows in the global batch."""
        return slice(self.first, self.first + self.labels.shape[1] // self.num_ranks)

    @property
    def num_ranks(self) -> int:
        """Ranks that share the global batch."""
        width = next(iter(self.inputs.values())).shape[1]
        return self.labels.shape[1] // width


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Everything that a pack trains on.

    Args:
        inputs: features or embeddings.
        windows: identity of each window in the corpus, shape (windows,).
        labels: by member, shape (members, windows): classes, int8, -1 where unknown; or values,
            float32, NaN where unknown.
        rows: rows of each member's splits, padded with -1, shape (members, most windows).
        counts: rows of each member's splits that are not padding.
        keys: random key of each member, shape (members,).
        teacher: what each member's teacher says, shape (members, windows, c): logits, or the
            embedding; NaN outside its fold's training split, so that a leak cannot go unseen; None
            where nobody has one.
        batch_size: windows of the global batch.
        ranks: who shares it.
        strata: number of the stratum of each window, by member, shape (members, windows): training
            batches have their share of each; None for plain shuffling.
        streams: name of each member's stream: members of one name are equal in rows, key, strata
            and standardisation, so all is drawn and read once for them; None where all differ.
    """

    inputs: Inputs
    windows: Int64[Tensor, " windows"]
    labels: Tensor
    rows: Mapping[Part, Int64[Tensor, "members most"]]
    counts: Mapping[Part, tuple[int, ...]]
    keys: Int64[Tensor, " members"]
    teacher: Float32[Tensor, "members windows c"] | None
    batch_size: int
    ranks: Ranks
    strata: Int64[Tensor, "members windows"] | None = None
    streams: Sequence[Hashable] | None = None

    def training(self, live: tuple[int, ...], epoch: int) -> Iterator[Batch]:
        """Every training window of every live member once, in an order of this epoch."""
        keys = derive(self.keys, "dropout", epoch)
        yield from self._batches(live, "train", epoch, keys)

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        """Every validation window of every live member once, in the same batches in all epochs."""
        yield from self._batches(live, "validation", 0, None)

    def _batches(
        self, live: tuple[int, ...], part: Part, epoch: int, dropout: Tensor | None
    ) -> Iterator[Batch]:
        """All but inputs is laid out for the whole epoch and cut, not looked up each step."""
        members = torch.tensor(live, device=self.keys.device)
        names = live if self.streams is None else [self.streams[member] for member in live]
        streams = Streams.among(names, members.device)
        leaders = members[streams.first]
        order = self._order(leaders, part, epoch)
        cut = [self._even(rows) for rows in torch.split(order, self.batch_size, dim=1)]
        rows = torch.cat(cut, dim=1)
        valid, rows = streams.expand(rows != PADDING), rows.clamp(min=0)
        labels, teacher = self._known(members, streams.expand(rows), ~valid)
        keys = None if dropout is None else dropout[leaders]
        counts = [self.counts[part][member] for member in live]
        stop = 0
        for start, batch in zip(range(0, max(counts), self.batch_size), cut, strict=False):
            size = batch.shape[1] // self.ranks.size
            whole = slice(stop, stop := stop + batch.shape[1])
            first = self.ranks.index * size
            own = slice(whole.start + first, whole.start + first + size)
            yield Batch(
                members=members,
                inputs=self.inputs.gather(members, streams, rows[:, own]),
                labels=labels[:, whole],
                valid=valid[:, whole],
                first=first,
                teacher=None if teacher is None else teacher[:, own],
                dropout=None
                if keys is None
                else Dropout(keys, self.windows[rows[:, own]], streams),
                has_windows=tuple(start < count for count in counts),
            )

    def _even(self, rows: Int64[Tensor, "s g"]) -> Int64[Tensor, "s even"]:
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
        strata = self.strata[members].gather(1, shuffled.clamp(min=0))
        strata = strata.masked_fill(shuffled == PADDING, torch.iinfo(torch.int64).max)
        return shuffled.gather(1, spread(strata, uniform(keys, 1)))

    def _known(
        self, members: Tensor, rows: Int64[Tensor, "m n"], padded: Bool[Tensor, "m n"]
    ) -> tuple[Tensor, Tensor | None]:
        """Labels, and what teachers say; padding repeats row 0, of which nothing may be known.

        Padding is 0: a NaN that stands there must not reach a gradient.
        """
        labels = self.labels[members].gather(1, rows).masked_fill_(padded, 0)
        if not labels.is_floating_point():
            labels = labels.long()
        if self.teacher is None:
            return labels, None
        # Laid out by class, as `divergence` reads it.
        said = self.teacher[members].transpose(1, 2)
        by_class = said.gather(2, rows[:, None].expand(-1, said.shape[1], -1))
        return labels, by_class.masked_fill_(padded[:, None], 0.0).transpose(1, 2)


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
