"""The losses of single windows, for all members of a pack at once; `contrastive` compares windows.

Shapes: m members, b windows of this rank, d width, c classes.
"""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logits: Float[Tensor, "m b c"], labels: Int64[Tensor, "m b"]
) -> Float[Tensor, "m b"]:
    """Cross-entropy of each window, nats."""
    return functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")


def squared_error(
    predictions: Float[Tensor, "m b one"], values: Float[Tensor, "m b"]
) -> Float[Tensor, "m b"]:
    """Squared error of each window, in squares of the unit of `values`."""
    return (predictions.squeeze(2) - values).square()


def divergence(
    student: Float[Tensor, "m b c"],
    teacher: Float[Tensor, "m b c"],
    temperature: Float[Tensor, " m"],
) -> Float[Tensor, "m b"]:
    """KL(softmax(teacher / T) || softmax(student / T)) of each window, nats; 0 for equal logits.

    Args:
        student: logits; gradients flow here only.
        teacher: logits of the frozen teacher.
        temperature: T of each member, dimensionless, > 0.
    Source: the distillation loss of C-LUPI, which averages over windows and has no factor T^2.
    """
    scale = temperature[:, None, None]
    # Along the second axis, as in `cross_entropy`: the last one is as short as two.
    log_student = functional.log_softmax(student.transpose(1, 2) / scale, dim=1)
    log_teacher = functional.log_softmax(teacher.detach().transpose(1, 2) / scale, dim=1)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)


def cosine_distance(
    student: Float[Tensor, "m b d"], teacher: Float[Tensor, "m b d"]
) -> Float[Tensor, "m b"]:
    """1 - cos(student, teacher) of each window, 0 to 2; 0 where embeddings point the same way.

    Args:
        student: embeddings; gradients flow here only.
        teacher: embeddings of the frozen teacher.
    """
    return 1.0 - functional.cosine_similarity(student, teacher.detach(), dim=2)


def distillation(
    supervised: Float[Tensor, "m b"],
    from_teacher: Float[Tensor, "m b"],
    weight: Float[Tensor, " m"],
) -> Float[Tensor, "m b"]:
    """(1 - a) S + a D of each window, with one `weight` (a) a member; a = 0 is S, exactly.

    Args:
        supervised: S, cross-entropy or squared error.
        from_teacher: D, how far a window is from what the teacher makes of it.
        weight: a, in [0, 1].
    """
    share = weight[:, None]
    return (1.0 - share) * supervised + share * from_teacher
