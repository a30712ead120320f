"""What a job predicts, and what follows from it for its other fields."""

from typing import Literal, TypeVar

from pricon.spec.base import ContradictionError
from pricon.spec.statistics import StatisticsSpec
from pricon.spec.training import DistillationSpec

Task = Literal["classification", "regression"]
"""Whether models tell classes apart (`low`, `high`) or predict the affect value itself."""

_Arm = TypeVar("_Arm", bound=str)

NEEDS_CLASSES = ("majority",)
"""Arms that exist under classification only. Their counterpart under regression, a constant, has a
CCC of 0 by construction, so none is needed."""


def customary_arms(unnamed: tuple[_Arm, ...], task: Task) -> tuple[_Arm, ...]:
    """The arms of a job that names none: those among `unnamed` that the task has."""
    return tuple(arm for arm in unnamed if task == "classification" or arm not in NEEDS_CLASSES)


def customary_distillation(asked: DistillationSpec, task: Task) -> DistillationSpec:
    """The same with `imitate` resolved.

    Raises:
        ContradictionError: a regression job asks for logits or for their temperature.
    """
    if task == "classification":
        return asked if asked.imitate else asked.model_copy(update={"imitate": "logits"})
    key = "student.distillation"
    if asked.imitate == "logits":
        raise ContradictionError(
            f"`{key}.imitate: logits` needs classes, and `task: regression` has none",
            f"remove it: students then imitate the embedding, as with `{key}.imitate: embedding`",
        )
    for name in ("temperature", "scale_by_temperature_squared"):
        if getattr(asked, name) != DistillationSpec.model_fields[name].default:
            raise ContradictionError(
                f"`{key}.{name}` belongs to logits, and `task: regression` has none",
                f"remove `{name}`: the cosine between embeddings has no temperature",
            )
    return asked.model_copy(update={"imitate": "embedding"})


def customary_statistics(asked: StatisticsSpec, task: Task) -> StatisticsSpec:
    """The same with `equivalence_margin` resolved."""
    if asked.equivalence_margin is not None:
        return asked
    margin = 0.02 if task == "classification" else 0.04
    return asked.model_copy(update={"equivalence_margin": margin})


def refuse_arms(arms: tuple[str, ...], task: Task) -> None:
    """Refuse arms that a task does not have (ContradictionError)."""
    misplaced = [arm for arm in arms if arm in NEEDS_CLASSES]
    if task == "regression" and misplaced:
        raise ContradictionError(
            f"arm `{misplaced[0]}` predicts a class, and `task: regression` has none",
            f"remove `{misplaced[0]}` from `arms`: a constant has a CCC of 0, so it would say "
            "nothing",
        )
