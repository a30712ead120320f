"""How data is read: recordings -> sessions -> windows -> shards and manifest -> arrays.

adapters.* -> windows.cut -> build.build_corpus -> (storage) -> reader.Corpus

Must not import torch, ray, mlflow or kubernetes.
"""
