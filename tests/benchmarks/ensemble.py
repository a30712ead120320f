"""Stages of one kind as a `torch.func` ensemble: `stack_module_state` and `vmap`."""

import time
from copy import deepcopy

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from pricon.model.network import EMBEDDING
from pricon.plan.plan import Stage
from tests.benchmarks.plain import Cell, Inputs, Model, contrastive, distilled, supervised
from tests.benchmarks.world import World, kind_of

STEPS = 10
"""Of each member in a measurement."""


def seconds_a_member_step(
    world: World, cell: Cell, stage: Stage, members: int, threads: int
) -> float:
    """Of members like this stage, all of one cell, each with batches of its own.

    They gather from tensors that were standardised, taught and embedded beforehand.
    """
    torch.set_num_threads(threads)
    job, windows = world.job, len(cell.labels)
    encoder = job.student.encoder if stage.role == "student" else job.teacher.encoder
    inputs: Inputs = {name: cell.inputs[name].expand(members, -1, -1) for name in stage.modalities}
    widths = {name: one.shape[-1] for name, one in inputs.items()}
    if stage.role == "probe":
        inputs, widths = {EMBEDDING: torch.randn(members, windows, encoder.width)}, {}
    outputs = 0 if kind_of(stage) == "contrastive teachers" else 2
    models = [Model(widths, encoder.width, outputs, encoder.dropout) for _ in range(members)]
    parameters, _ = stack_module_state(models)
    base = deepcopy(models[0]).to("meta")
    base.train()
    log_taught = torch.randn(members, windows, 2).log_softmax(2)

    def loss(own: dict[str, Tensor], x: Inputs, y: Tensor, taught: Tensor) -> Tensor:
        scores = functional_call(base, own, (x,))
        if outputs == 0:
            return contrastive(scores, y, job.teacher.contrastive.temperature)
        if stage.role == "student" and stage.source is not None:
            spec = job.student.distillation
            return distilled(scores, y, taught, spec.weight, spec.temperature)
        return supervised(scores, y)

    step = vmap(grad_and_value(loss), randomness="different")
    adam = torch.optim.Adam(list(parameters.values()), lr=5e-4, fused=True)
    everybody = torch.arange(members)[:, None]
    started = time.perf_counter()
    order = torch.stack([cell.train[torch.randperm(len(cell.train))] for _ in range(members)])
    batches = torch.split(order, job.optimisation.batch_size, dim=1)[:STEPS]
    for rows in batches:
        x = {name: one[everybody, rows] for name, one in inputs.items()}
        gradients, _ = step(parameters, x, cell.labels[rows], log_taught[everybody, rows])
        for name, one in parameters.items():
            one.grad = gradients[name]
        adam.step()
    torch.set_num_threads(1)
    return (time.perf_counter() - started) / len(batches) / members
