"""What was asked: a YAML file becomes a frozen JobSpec, every key checked, nothing started.

jobs/*.yaml -> load.load_job -> job.JobSpec

Must not import torch, ray, mlflow or kubernetes.
"""
