"""What is recorded: one MLflow run a submission, one child run a trial, each step once.

trial results -> records -> thread -> process -> mlflow, or a local journal while that is away

Must not import torch, ray or kubernetes; mlflow only in track.client.
"""
