"""What was found: trial results -> statistics per arm -> terminal table, Markdown, JSON, Parquet.

results.TrialResult -> statistics.summarise -> tables / files

Must not import torch, ray, mlflow or kubernetes.
"""
