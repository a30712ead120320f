"""The ranks of a lane, and the collectives that training needs."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pricon.heartbeat import waits_for_others

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among the processes of its lane; index 0 writes, the others only compute."""

    index: int = 0
    size: int = 1

    @staticmethod
    def current() -> "Ranks":
        """The ranks of the process group, or a lone one where none was started."""
        if dist.is_available() and dist.is_initialized():
            return Ranks(dist.get_rank(), dist.get_world_size())
        return Ranks()

    def parallel(self, network: nn.Module) -> nn.Module:
        """`network` with gradients averaged over ranks in every backward pass."""
        if self.size == 1:
            return network
        with waits_for_others():
            return DistributedDataParallel(network)

    def awaited(self) -> AbstractContextManager[None]:
        """Around a backward pass through `parallel`, which waits for the other ranks."""
        return nullcontext() if self.size == 1 else waits_for_others()

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all ranks, in the order of ranks; gradients do not come back by themselves.

        Args:
            rows: shape (members, batch, d), equal on all ranks.

        Returns:
            Shape (members, size * batch, d).
        """
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        with waits_for_others():
            dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts, dim=1)

    def sum_own(self, gathered: Tensor) -> Tensor:
        """What all ranks say of this rank's rows, summed: the way back from `gather`.

        Without the others', the gradient of a contrastive loss is wrong: each rank would treat
        their embeddings as constants.

        Args:
            gathered: shape (members, size * batch, d); may be overwritten.

        Returns:
            Shape (members, batch, d).
        """
        if self.size == 1:
            return gathered
        with waits_for_others():
            dist.all_reduce(gathered)
        return gathered.chunk(self.size, dim=1)[self.index].contiguous()

    def sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, equal to the bit on all of them, so that they decide alike."""
        if self.size > 1:
            values = values.clone()
            with waits_for_others():
                dist.all_reduce(values)
        return values

    def agree(self, value: T) -> T:
        """Rank 0's `value`, on all ranks: what storage holds is looked up once, not by everyone.

        Two ranks that ask a store at different moments, or through a failing network, may get
        different answers, and would then wait for each other for ever.
        """
        if self.size == 1:
            return value
        box = [value]
        with waits_for_others():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def count(self, name: str, more: int = 0) -> int:
        """A counter of the lane after `more` is added; no rank waits for another.

        A lone rank has none, and gets 0.

        Raises:
            RuntimeError: the process that keeps it is gone.
        """
        if self.size == 1:
            return 0
        # By which the ranks found each other; torch 2.13 gives it no public name.
        from torch.distributed.distributed_c10d import _get_default_store

        return int(_get_default_store().add(f"pricon/{name}", more))

    def wait(self) -> None:
        """Return when all ranks have come here."""
        if self.size > 1:
            with waits_for_others():
                dist.barrier()
