"""What a training process asks of the allocator."""

import torch


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one, instead of giving it back to the system.

    It raises its threshold to the largest block that was ever mapped and freed, 32 MiB at most.
    Without that, a sixth of a step's time goes into zeroing pages. Other allocators do not mind.
    """
    torch.empty(31 << 20, dtype=torch.uint8)
