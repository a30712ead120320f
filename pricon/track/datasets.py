"""A corpus as MLflow knows data sets. Loading takes seconds: import it late."""

import json

from pricon.track.client import DatasetEntity, DatasetInput, InputTag
from pricon.track.records import Dataset

_DIGEST = 36
"""Characters that MLflow takes of a digest; the whole one is a tag of the run."""
_CONTEXT = "participant-wise cross-validation"
"""Which part of a data set was used for what is another matter in every fold."""


def input_of(dataset: Dataset) -> DatasetInput:
    """What a run has read, for MLflow's pages and its search."""
    features = [
        {
            "name": modality,
            "type": "tensor",
            "tensor-spec": {"dtype": "float32", "shape": [-1, *shape]},
        }
        for modality, shape in dataset.shapes.items()
    ]
    schema = {"mlflow_tensorspec": {"features": json.dumps(features), "targets": None}}
    entity = DatasetEntity(
        name=dataset.name,
        digest=dataset.digest[:_DIGEST],
        source_type="s3" if dataset.uri.startswith("s3://") else "local",
        source=json.dumps({"uri": dataset.uri}),
        schema=json.dumps(schema),
        profile=json.dumps(dataset.counts),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", _CONTEXT)])
