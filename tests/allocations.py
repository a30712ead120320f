"""What torch allocates while something runs, counted rather than measured."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Bytes of what operations return while this context is entered, backward passes included.

    An operation's own scratch space is not seen.

    Attributes:
        largest: of one tensor.
        peak: of all that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = 0
        self.peak = 0
        self._alive: dict[weakref.ref[torch.UntypedStorage], int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self._alive[weakref.ref(storage, self._forget)] = storage.nbytes()
                self.largest = max(self.largest, storage.nbytes())
        self.peak = max(self.peak, sum(self._alive.values()))
        return result

    def _forget(self, gone: weakref.ref[torch.UntypedStorage]) -> None:
        self._alive.pop(gone, None)
