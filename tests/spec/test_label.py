"""The custom of a corpus stands in for a threshold that nobody gave."""

import pytest
from pydantic import TypeAdapter

from pricon.spec.corpus import CorpusSpec
from pricon.spec.label import LabelSpec, customary_label

RECOLA = {"arousal": 0.05, "valence": 0.09}


@pytest.mark.parametrize(
    ("adapter", "threshold"),
    [("again", "session_mean"), ("again_derived", "session_mean"), ("recola", RECOLA)],
)
def test_threshold_of_each_corpus(adapter: str, threshold: object) -> None:
    corpus: CorpusSpec = TypeAdapter(CorpusSpec).validate_python({"adapter": adapter, "uri": "x"})
    resolved = customary_label(LabelSpec(margin=0.1), corpus)
    assert resolved == LabelSpec.model_validate({"threshold": threshold, "margin": 0.1})
    given = LabelSpec(threshold=0.3)
    assert customary_label(given, corpus) is given
