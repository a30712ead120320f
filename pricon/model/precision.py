"""How exact products of matrices are while a model trains: float32, TF32, or bfloat16.

Losses, statistics and the optimiser stay in float32 whatever is chosen, and so does everything that
a trained model is judged by.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from pricon.spec.training import Precision


@contextmanager
def steps_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Whole steps, backward passes included; nothing changes without a GPU that has TF32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32" and device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def forward_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A network's forward pass; its backward pass then has the same types."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
