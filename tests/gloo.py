"""Gloo ranks as processes of their own."""

import multiprocessing
import pickle
import queue
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
import torch.distributed as dist

from tests.ports import free_port

T = TypeVar("T")


def on_ranks(work: Callable[[], T], size: int = 2) -> list[T]:
    """What `work` returns on each of `size` ranks; it is a function of a module, on one thread."""
    port = free_port()
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [
        spawn.Process(target=_rank, args=(work, rank, size, port, results)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    try:
        found = dict(results.get(timeout=180) for _ in range(size))
    except queue.Empty:
        pytest.fail("the ranks did not answer")
    finally:
        for process in processes:
            process.join(timeout=30)
            process.kill()
    return [pickle.loads(found[rank]) for rank in range(size)]


def _rank(work: Callable[[], object], rank: int, size: int, port: int, results: Any) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    # Pickled here: a queue would send a tensor as a file handle, which ends with this process.
    results.put((rank, pickle.dumps(work())))
    dist.barrier()
    dist.destroy_process_group()
