"""Networks as packs: the parameters of many models of one shape, stacked along a leading axis.

keyed (random numbers) -> layers.Layer -> encoders.encode -> network.PackedNetwork

Must not import ray, mlflow or kubernetes.
"""
