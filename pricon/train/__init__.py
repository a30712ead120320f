"""The science: packs of models through one loop, under plain torch and torch.distributed.

examples + objectives -> loop.fit (one pack) -> stages (teacher, probe, student) -> records

Must not import ray, mlflow or kubernetes: the same code runs under torchrun or in a notebook.
"""
