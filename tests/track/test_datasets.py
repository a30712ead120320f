"""A corpus as MLflow shows data sets."""

import json

import pytest
from mlflow.types.schema import Schema

from pricon.track.datasets import input_of
from tests.track.examples import make_dataset


def test_a_corpus_is_described_as_mlflow_reads_it() -> None:
    read = input_of(make_dataset())
    assert [(tag.key, tag.value) for tag in read.tags] == [
        ("mlflow.data.context", "participant-wise cross-validation")
    ]
    assert (read.dataset.name, read.dataset.digest) == ("again", "c" * 36)
    columns = json.loads(read.dataset.schema or "")["mlflow_colspec"]
    schema = Schema.from_json(json.dumps(columns))
    assert schema.input_names() == ["frames", "telemetry"]
    assert {str(column) for column in schema.input_types()} == {"Array(float)"}
    assert json.loads(read.dataset.profile or "") == {
        "windows": 720,
        "sessions": 9,
        "participants": 3,
        "shape of frames": [1, 62],
        "shape of telemetry": [12, 41],
    }


@pytest.mark.parametrize(("uri", "kind"), [("s3://affect/again", "s3"), ("/data/again", "local")])
def test_where_it_lies(uri: str, kind: str) -> None:
    dataset = input_of(make_dataset(uri)).dataset
    assert dataset.source_type == kind
    assert json.loads(dataset.source) == {"uri": uri}
