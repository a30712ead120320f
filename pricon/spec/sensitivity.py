"""A grid of settings, judged on validation participants.

How much hangs on three numbers that nobody knows: each of them is an assumption ([A]).
"""

from collections.abc import Sequence
from math import prod
from typing import Annotated

from pydantic import Field, PositiveFloat, model_validator

from pricon.spec.base import ContradictionError, Spec
from pricon.spec.training import ContrastiveSpec, DistillationSpec

CONTRASTIVE = ("pricon", "pricon_privileged", "pricon_shuffled")
"""Arms whose teacher is pretrained with the contrastive loss."""

TAUGHT = ("lupi", "lupi_privileged", *CONTRASTIVE, "pricon_random")
"""Arms whose student has a teacher: what a grid says something about."""

_KEYS = {
    "distillation_weight": "student.distillation.weight",
    "distillation_temperature": "student.distillation.temperature",
    "contrastive_temperature": "teacher.contrastive.temperature",
}
"""Axis -> where a job has its own value."""

_Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
_Temperatures = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class SensitivitySpec(Spec):
    """Train every arm at every point of the product of these lists.

    Models are judged on validation participants: no model meets the test participants of its own
    fold, and none is evaluated on them. But who validates in one fold is tested in another, so a
    choice made over all folds has seen most people. What the report names as the best of a fold
    was chosen without that fold's test participants, who may judge it in a job without
    `sensitivity` under `--only-folds`.
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
                raise ContradictionError(
                    f"{repeated[0]:g} stands twice in `sensitivity.{name}`",
                    "name each value once: one setting is trained once",
                )
        if prod(map(len, axes.values())) < 2:
            raise ContradictionError(
                "`sensitivity` is a single point; it needs at least two values of one of: "
                + ", ".join(f"`{name}`" for name in SensitivitySpec.model_fields),
                "add a value, such as `distillation_weight: [0.25, 0.5]`, or remove `sensitivity`",
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
        ContradictionError: names the arm, axis or value that does not fit.
    """
    _refuse_arms(arms)
    axes = grid.axes
    if "distillation_temperature" in axes and distillation.imitate == "embedding":
        raise ContradictionError(
            "`sensitivity.distillation_temperature` belongs to `imitate: logits`, not to an "
            "embedding",
            "remove `distillation_temperature` from `sensitivity`: the cosine between embeddings "
            "has no temperature",
        )
    if "contrastive_temperature" in axes and not {*arms} & {*CONTRASTIVE}:
        raise ContradictionError(
            "`sensitivity.contrastive_temperature` changes no arm of this job; it belongs to: "
            + ", ".join(CONTRASTIVE),
            "add `pricon` to `arms`, or remove `contrastive_temperature` from `sensitivity`",
        )
    own = own_values(distillation, contrastive)
    for name, values in axes.items():
        if own[name] not in values:
            listed = ", ".join(f"{value:g}" for value in sorted({*values, own[name]}))
            raise ContradictionError(
                f"`sensitivity.{name}` lacks {own[name]:g}, the job's own value, with which the "
                "others are compared",
                f"write `{name}: [{listed}]`, or set `{_KEYS[name]}` to one of its values",
            )


def _refuse_arms(arms: Sequence[str]) -> None:
    idle = [arm for arm in arms if arm not in {"e2e", *TAUGHT}]
    if idle:
        raise ContradictionError(
            f"no setting of `sensitivity` says anything about `{idle[0]}`; its `arms` are e2e and "
            f"some of: {', '.join(TAUGHT)}",
            f"leave `{idle[0]}` out, for example `arms: [e2e, lupi, pricon]`",
        )
    if "e2e" not in arms or not {*arms} & {*TAUGHT}:
        raise ContradictionError(
            "`sensitivity` compares taught students with e2e; `arms` needs e2e and some of: "
            + ", ".join(TAUGHT),
            f"add `{'lupi' if 'e2e' in arms else 'e2e'}` to `arms`",
        )
