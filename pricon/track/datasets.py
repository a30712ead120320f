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
    # Of tensors the pages show nothing; of columns names and types.
    columns = [
        {"name": modality, "type": "array", "items": {"type": "float"}, "required": True}
        for modality in dataset.shapes
    ]
    profile = {**dataset.counts, **{f"shape of {k}": list(v) for k, v in dataset.shapes.items()}}
    entity = DatasetEntity(
        name=dataset.name,
        digest=dataset.digest[:_DIGEST],
        source_type="s3" if dataset.uri.startswith("s3://") else "local",
        source=json.dumps({"uri": dataset.uri}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(profile),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", _CONTEXT)])
