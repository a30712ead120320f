"""The students of one modality as a `torch.func` ensemble: `stack_module_state` and `vmap`."""

import time
from copy import deepcopy

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from tests.benchmarks.plain import Cell, Model, distilled
from tests.benchmarks.world import World

STEPS = 10
"""Of each member in a measurement."""


def seconds_a_member_step(
    world: World, cells: list[Cell], modality: str, members: int, threads: int
) -> float:
    """Of distilled students that draw batches of their own, gathered from standardised tensors."""
    torch.set_num_threads(threads)
    job = world.job
    spec, encoder = job.student.distillation, job.student.encoder
    widths = {modality: cells[0].inputs[modality].shape[1]}
    models = [Model(widths, encoder.width, 2, encoder.dropout) for _ in range(members)]
    parameters, _ = stack_module_state(models)
    base = deepcopy(models[0]).to("meta")
    base.train()
    inputs = torch.stack([cell.inputs[modality] for cell in cells])
    labels = torch.stack([cell.labels for cell in cells])
    log_taught = torch.randn(members, inputs.shape[1], 2).log_softmax(2)
    cell_of = torch.arange(members) % len(cells)
    fewest = min(len(cell.train) for cell in cells)

    def loss(own: dict[str, Tensor], x: Tensor, y: Tensor, taught: Tensor) -> Tensor:
        scores = functional_call(base, own, ({modality: x},))
        return distilled(scores, y, taught, spec.weight, spec.temperature)

    step = vmap(grad_and_value(loss), randomness="different")
    adam = torch.optim.Adam(list(parameters.values()), lr=5e-4, fused=True)
    started = time.perf_counter()
    order = torch.stack([cells[i].train[torch.randperm(fewest)] for i in cell_of.tolist()])
    batches = torch.split(order, job.optimisation.batch_size, dim=1)[:STEPS]
    for rows in batches:
        column = cell_of[:, None]
        taught = log_taught[torch.arange(members)[:, None], rows]
        gradients, _ = step(parameters, inputs[column, rows], labels[column, rows], taught)
        for name, one in parameters.items():
            one.grad = gradients[name]
        adam.step()
    torch.set_num_threads(1)
    return (time.perf_counter() - started) / len(batches) / members
