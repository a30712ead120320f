"""The points of a job's grid, and the job at each of them."""

from itertools import product

from pricon.plan.plan import Setting
from pricon.spec.job import JobSpec
from pricon.spec.sensitivity import own_values


def points_of(job: JobSpec) -> tuple[Setting, ...]:
    """Every point of the job's grid, the job's own first; empty without a grid."""
    if job.sensitivity is None:
        return ()
    own = own_values(job.student.distillation, job.teacher.contrastive)
    axes = {name: (value,) for name, value in own.items()} | job.sensitivity.axes
    points = [Setting(**dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
    return tuple(sorted(points, key=lambda point: point.to_dict() != own))


def job_at(job: JobSpec, point: Setting) -> JobSpec:
    """The same job with the values of a point as its own."""
    distillation = job.student.distillation.model_copy(
        update={
            "weight": point.distillation_weight,
            "temperature": point.distillation_temperature,
        }
    )
    contrastive = job.teacher.contrastive.model_copy(
        update={"temperature": point.contrastive_temperature}
    )
    return job.model_copy(
        update={
            "student": job.student.model_copy(update={"distillation": distillation}),
            "teacher": job.teacher.model_copy(update={"contrastive": contrastive}),
        }
    )
