"""The label rule: how the affect of a window becomes a class.

Origins in brackets: [A] marks a number that the abstract of PriCon (arXiv 2508.03729) does not
give; C-SCL and C-LUPI are the published codes of its two predecessors, named in the README.
"""

from typing import Literal

from pydantic import Field

from pricon.spec.base import Spec
from pricon.spec.corpus import Affect, CorpusSpec, RecolaSpec


class LabelSpec(Spec):
    """How the affect trace of a window becomes a class.

    High above threshold + margin, low below threshold - margin, otherwise dropped as ambiguous.
    Under `task: regression` only contrastive stages see classes; no other drops a window.
    """

    threshold: float | Literal["session_mean", "training_median"] | dict[Affect, float] | None = (
        None
    )
    """A fixed value, or one an affect, the mean of the window's own session, or the median of the
    fold's training windows. Null is the custom of the corpus: session mean on AGAIN [A] ICMI 2023;
    on RECOLA 0.05 for arousal and 0.09 for valence [A] C-SCL."""

    margin: float = Field(0.05, ge=0)
    """Half width of the band around the threshold that is dropped. [A] C-LUPI."""


def customary_label(asked: LabelSpec, corpus: CorpusSpec) -> LabelSpec:
    """The same with `threshold` resolved by what the corpus' literature does."""
    if asked.threshold is not None:
        return asked
    is_recola = isinstance(corpus, RecolaSpec)
    custom = {"arousal": 0.05, "valence": 0.09} if is_recola else "session_mean"
    return asked.model_copy(update={"threshold": custom})
