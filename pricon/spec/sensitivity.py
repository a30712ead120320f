"""A grid of settings, judged on validation participants.

How much hangs on three numbers that nobody knows: each of them is an assumption ([A]).
"""

from collections.abc import Sequence
from math import prod
from typing import Annotated

from pydantic import Field, PositiveFloat, model_validator

from pricon.spec.base import Spec
from pricon.spec.training import ContrastiveSpec, DistillationSpec

CONTRASTIVE = ("pricon", "pricon_privileged", "pricon_shuffled")
"""Arms whose teacher is pretrained with the contrastive loss."""

TAUGHT = ("lupi", "lupi_privileged", *CONTRASTIVE, "pricon_random")
"""Arms whose student has a teacher: what a grid says something about."""

_Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
_Temperatures = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class SensitivitySpec(Spec):
    """Train every arm at every point of the product of these lists.

    Models are judged on validation participants, so test participants stay unseen and may still
    judge what is chosen here, in a job of its own.
    """

    distillation_weight: _Weights | None = None
    """Values of `student.distillation.weight` (a); null is the job's own alone."""

    distillation_temperature: _Temperatures | None = None
    """Values of `student.distillation.temperature` (T); null is the job's own alone."""

    contrastive_temperature: _Temperatures | None = None
    """Values of `teacher.contrastive.temperature` (tau); null is the job's own alone."""

    @model_validator(mode="after")
    def _is_a_grid(self) -> "SensitivitySpec":
        axes = self.axes
        for name, values in axes.items():
            if repeated := [value for value in values if values.count(value) > 1]:
                raise ValueError(f"{repeated[0]:g} stands twice in `sensitivity.{name}`")
        if prod(map(len, axes.values())) < 2:
            raise ValueError(
                "`sensitivity` is a single point; give at least two values of one of: "
                + ", ".join(f"`{name}`" for name in SensitivitySpec.model_fields)
            )
        return self

    @property
    def axes(self) -> dict[str, tuple[float, ...]]:
        """The lists that are given, by name."""
        lists: dict[str, tuple[float, ...] | None] = {
            "distillation_weight": self.distillation_weight,
            "distillation_temperature": self.distillation_temperature,
            "contrastive_temperature": self.contrastive_temperature,
        }
        return {name: values for name, values in lists.items() if values is not None}


def own_values(distillation: DistillationSpec, contrastive: ContrastiveSpec) -> dict[str, float]:
    """The job's own value on every axis, by the axis' name."""
    return {
        "distillation_weight": distillation.weight,
        "distillation_temperature": distillation.temperature,
        "contrastive_temperature": contrastive.temperature,
    }


def refuse_unanswerable(
    grid: SensitivitySpec,
    arms: Sequence[str],
    distillation: DistillationSpec,
    contrastive: ContrastiveSpec,
) -> None:
    """Refuse a grid that these arms can say nothing about.

    Raises:
        ValueError: names the arm, axis or value that does not fit.
    """
    idle = [arm for arm in arms if arm not in {"e2e", *TAUGHT}]
    if idle:
        raise ValueError(
            f"no setting of `sensitivity` says anything about `{idle[0]}`; its `arms` are e2e and "
            f"some of: {', '.join(TAUGHT)}"
        )
    if "e2e" not in arms or not {*arms} & {*TAUGHT}:
        raise ValueError(
            "`sensitivity` compares taught students with e2e; `arms` needs e2e and some of: "
            + ", ".join(TAUGHT)
        )
    axes = grid.axes
    if "distillation_temperature" in axes and distillation.imitate == "embedding":
        raise ValueError(
            "`sensitivity.distillation_temperature` belongs to `imitate: logits`, not to an "
            "embedding"
        )
    if "contrastive_temperature" in axes and not {*arms} & {*CONTRASTIVE}:
        raise ValueError(
            "`sensitivity.contrastive_temperature` changes no arm of this job; add one of: "
            + ", ".join(CONTRASTIVE)
        )
    own = own_values(distillation, contrastive)
    for name, values in axes.items():
        if own[name] not in values:
            raise ValueError(
                f"`sensitivity.{name}` lacks {own[name]:g}, the job's own value, with which the "
                "others are compared"
            )
