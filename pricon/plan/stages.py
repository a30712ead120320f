"""Arms -> chains of stages. The one place that knows what an arm is."""

from dataclasses import dataclass
from typing import Any

from pricon.plan.identity import SCIENCE, STREAM, identity
from pricon.plan.plan import (
    CLASS_STAGES,
    POSITION,
    UNTOUCHED,
    Cell,
    Judge,
    Labels,
    Objective,
    Role,
    Setting,
    Stage,
)
from pricon.spec.job import Arm, JobSpec
from pricon.spec.task import Task

_SUPERVISED: dict[Task, Objective] = {
    "classification": "cross_entropy",
    "regression": "squared_error",
}
"""What teachers and probes minimise."""


@dataclass(frozen=True, slots=True)
class Link:
    """A stage of a chain before it is given to a cell."""

    role: Role
    objective: Objective
    modalities: tuple[str, ...]
    source: "Link | None" = None
    labels: Labels = "true"


def chain(
    arm: Arm,
    available: tuple[str, ...],
    everything: tuple[str, ...],
    task: Task = "classification",
) -> Link:
    """The last stage of an arm; its `source` leads back to the first.

    Args:
        arm: condition.
        available: what the student may see, sorted.
        everything: all modalities of the job, sorted.
        task: of the job.
    Source: PriCon, protocol of the comparison: who teaches whom.
    """
    others = tuple(name for name in everything if name not in available)
    chains: dict[Arm, Link] = {
        "majority": Link("majority", "majority", ()),
        "time_only": _student((POSITION,)),
        "e2e": _student(available),
        "scl": _probe(available, task),
        "lupi": _student(available, _supervised(everything, task)),
        "lupi_privileged": _student(available, _supervised(others, task)),
        "pricon": _student(available, _probe(everything, task)),
        "pricon_privileged": _student(available, _probe(others, task)),
        "pricon_shuffled": _student(available, _probe(everything, task, labels="shuffled")),
        "pricon_random": _student(available, _probe(everything, task, encoder="random")),
        "all_modalities": _supervised(everything, task),
        "scl_all_modalities": _probe(everything, task),
    }
    return chains[arm]


def _supervised(modalities: tuple[str, ...], task: Task) -> Link:
    return Link("teacher", _SUPERVISED[task], modalities)


def _probe(
    modalities: tuple[str, ...],
    task: Task,
    encoder: Objective = "contrastive",
    labels: Labels = "true",
) -> Link:
    """A linear probe on a frozen encoder."""
    frozen = Link("teacher", encoder, modalities, labels=labels)
    return Link("probe", _SUPERVISED[task], modalities, frozen, labels)


def _student(modalities: tuple[str, ...], teacher: Link | None = None) -> Link:
    return Link("student", "distillation", modalities, teacher)


def deployed_modalities(
    arm: Arm, available: tuple[tuple[str, ...], ...], everything: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    """What the deployed models of an arm need: one entry a trial of a cell."""
    match arm:
        case "majority":
            return ((),)
        case "time_only":
            return ((POSITION,),)
        case "all_modalities" | "scl_all_modalities":
            return (everything,)
        case _:
            return available


def stages_of(link: Link, cell: Cell, cell_index: int, job: JobSpec, digest: str) -> list[Stage]:
    """The stages of a chain in one cell, first to last, with their identities."""
    before = [] if link.source is None else stages_of(link.source, cell, cell_index, job, digest)
    source = before[-1].id if before else None
    judged_on = _judge(link, job)
    content = {
        "science": SCIENCE,
        "role": link.role,
        "objective": link.objective,
        "modalities": link.modalities,
        "source": source,
        "labels": link.labels,
        "corpus": digest,
        "affect": cell.affect,
        **_what_is_known(link, cell, job),
        "stimuli": cell.stimuli,
        "fold": cell.fold,
        "seed": cell.seed,
        "split": [cell.split.train, cell.split.validation, cell.split.test],
        **_training_settings(link, cell, job),
        # What was judged on test participants has another record, and says nothing of it.
        **({"judged_on": judged_on} if judged_on == "validation" else {}),
    }
    stage = Stage(
        id=identity(content),
        role=link.role,
        objective=link.objective,
        modalities=link.modalities,
        cell=cell_index,
        source=source,
        labels=link.labels,
        setting=_setting(link, job),
        judged_on=judged_on,
    )
    return [*before, stage]


def _judge(link: Link, job: JobSpec) -> Judge | None:
    """Whose participants judge a stage; nobody judges an encoder, so all jobs share it."""
    if link.objective in {"contrastive", "random"}:
        return None
    return "test" if job.sensitivity is None else "validation"


def _setting(link: Link, job: JobSpec) -> Setting:
    """What a stage trains with of the numbers that a job may vary."""
    if link.objective == "contrastive":
        return Setting(contrastive_temperature=job.teacher.contrastive.temperature)
    if link.role != "student" or link.source is None:
        return UNTOUCHED
    distillation = job.student.distillation
    is_logits = distillation.imitate == "logits"
    return Setting(
        distillation_weight=distillation.weight,
        distillation_temperature=distillation.temperature if is_logits else None,
    )


def _what_is_known(link: Link, cell: Cell, job: JobSpec) -> dict[str, Any]:
    """What a stage is told of its windows: classes, by the label rule, or affect values."""
    if job.task == "regression" and link.objective not in CLASS_STAGES:
        return {"task": job.task}
    return {"label": [_own(job.label.threshold, cell), job.label.margin]}


def _streaming(job: JobSpec) -> dict[str, Any]:
    streaming = job.optimisation.streaming
    return {} if streaming is None else {"streaming": [STREAM, streaming.model_dump()]}


def _own(threshold: Any, cell: Cell) -> Any:
    """The value for the cell's affect: what another affect gets changes nothing here."""
    return threshold[cell.affect] if isinstance(threshold, dict) else threshold


def _training_settings(link: Link, cell: Cell, job: JobSpec) -> dict[str, Any]:
    """Job fields that affect a stage; a teacher does not depend on its students."""
    if link.role == "majority":
        return {}
    optimisation = job.optimisation
    settings: dict[str, Any] = {
        "standardise": job.standardise,
        "incomplete_features": job.incomplete_features,
        "batch_size": optimisation.batch_size,
        "clip": optimisation.gradient_clip_norm,
        "optimiser": [optimisation.optimiser, optimisation.weight_decay],
        "precision": optimisation.precision,
        # Left out where features are in memory: what was trained before stays the same stage.
        **_streaming(job),
    }
    match link.role:
        case "teacher" if link.objective == "random":
            settings["encoder"] = job.teacher.encoder.model_dump(exclude={"dropout"})
            settings["projection_width"] = job.teacher.contrastive.projection_width
        case "teacher" if link.objective == "contrastive":
            settings["encoder"] = job.teacher.encoder.model_dump(exclude={"dropout"})
            contrastive = job.teacher.contrastive
            threshold = _own(contrastive.change_threshold, cell)
            settings["contrastive"] = contrastive.model_dump() | {"change_threshold": threshold}
            settings["training"] = optimisation.contrastive.model_dump()
        case "teacher":
            settings["encoder"] = job.teacher.encoder.model_dump()
            settings["training"] = optimisation.supervised.model_dump()
        case "probe":
            settings["dropout"] = job.teacher.encoder.dropout
            settings["training"] = optimisation.probe.model_dump()
        case "student":
            settings["encoder"] = job.student.encoder.model_dump()
            settings["training"] = optimisation.supervised.model_dump()
            if link.source is not None:
                settings["distillation"] = job.student.distillation.model_dump()
    if link.objective in _SUPERVISED.values() and job.student.distillation.imitate == "embedding":
        settings["keeps"] = "embedding"
    return settings
