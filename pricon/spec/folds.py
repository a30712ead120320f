"""How participants are dealt to the folds of a cross-validation, and the seeds of a job."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from pricon.spec.base import Spec

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class FoldSpec(Spec):
    """Participant-wise cross-validation: nobody is in two splits."""

    scheme: Literal["group_k_fold", "leave_one_out", "leave_n_out"] = "group_k_fold"
    """`count` groups of participants, one participant at a time, or `count` participants at a
    time."""

    count: int = Field(5, ge=1)
    """Number of folds (`group_k_fold`, at least 2) or of test participants a fold (`leave_n_out`).
    [A] C-LUPI: 5 folds."""

    validation_share: float = Field(0.1, ge=0, lt=1)
    """Share of the training participants held out for early stopping. [A] AGAIN 10 %; RECOLA 0."""

    validation_minimum: PositiveInt = 2
    """At least so many validation participants. [A] 2 on both corpora."""

    require_all_classes: bool = True
    """Refuse a fold whose validation or test split lacks a class. The training split always needs
    both; leave-one-out folds may have to go without. Regression jobs need classes for contrastive
    arms alone."""

    seed: Seed = 0
    """Deals participants to folds. Folds stay the same for all of the job's `seeds`."""

    @model_validator(mode="after")
    def _two_folds_at_least(self) -> "FoldSpec":
        if self.scheme == "group_k_fold" and self.count < 2:
            raise ValueError("`count` must be at least 2 for `group_k_fold`")
        return self
