"""The losses, for all members of a pack at once.

Shapes: m members, b windows of this rank, g windows of the global batch, d width, c classes.
Padded windows are marked in `valid` and count nowhere.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from pricon.corpus.labels import MOST_KINDS
from pricon.spec.training import ContrastiveSpec


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


def similarities(
    anchors: Float[Tensor, "m b d"],
    candidates: Float[Tensor, "m g d"],
    temperature: Float[Tensor, " m"],
) -> Float[Tensor, "m b g"]:
    """cos(anchor, candidate) / tau: what the contrastive loss takes its softmax of.

    Args:
        anchors: embeddings of this rank's windows; their length does not matter.
        candidates: embeddings of the global batch, in the order of ranks.
        temperature: tau of each member, dimensionless, > 0.
    """
    cosines = torch.bmm(_unit(anchors), _unit(candidates).transpose(1, 2))
    return cosines / temperature[:, None, None]


def supervised_contrastive(
    similarity: Float[Tensor, "m b g"],
    labels: Int64[Tensor, "m g"],
    valid: Bool[Tensor, "m g"],
    first_anchor: int,
    spec: ContrastiveSpec,
) -> tuple[Float[Tensor, "m b"], Bool[Tensor, "m b"]]:
    """Supervised contrastive loss of each anchor of this rank against the global batch.

    Anchors without a positive are skipped, not counted as zero: they would pull the mean down.

    Args:
        similarity: of this rank's windows, the anchors, to those of the global batch.
        labels: classes of the global batch.
        valid: windows of the global batch that are not padding.
        first_anchor: where this rank's windows start in the global batch.
        spec: variant, and whether an anchor is its own positive.

    Returns:
        Loss in nats, 0 where skipped, and which anchors count.
    Source: Khosla et al. 2020, eq. 2 (`out`) and eq. 3 (`in`).
    """
    num = similarity.shape[1]
    own = slice(first_anchor, first_anchor + num)
    others = _not_self(num, labels.shape[1], first_anchor, similarity.device)
    allowed = valid[:, None, :] & (others | spec.include_self)
    positive = allowed & (labels[:, own, None] == labels[:, None, :])
    counts = positive.sum(dim=2)
    counted = valid[:, own] & (counts > 0)

    nothing = torch.finfo(similarity.dtype).min / 2
    similarity = similarity.masked_fill(~allowed, nothing)
    log_all = torch.logsumexp(similarity, dim=2)
    num_positives = counts.clamp(min=1).to(similarity.dtype)
    if spec.variant == "out":
        attraction = similarity.masked_fill(~positive, 0.0).sum(dim=2) / num_positives
    else:
        log_positive = torch.logsumexp(similarity.masked_fill(~positive, nothing), dim=2)
        attraction = log_positive - num_positives.log()
    return (log_all - attraction).masked_fill(~counted, 0.0), counted


def num_anchors(
    labels: Int64[Tensor, "m g"], valid: Bool[Tensor, "m g"], include_self: bool
) -> Int64[Tensor, " m"]:
    """Anchors of the global batch that have a positive, for each member; needs no communication."""
    total = torch.zeros(labels.shape[0], dtype=torch.int64, device=labels.device)
    for label in range(MOST_KINDS):
        count = (valid & (labels == label)).sum(dim=1)
        total += count if include_self else torch.where(count > 1, count, 0)
    return total


def _unit(rows: Tensor) -> Tensor:
    return functional.normalize(rows, dim=2, eps=1e-8)


def _not_self(num: int, total: int, first: int, device: torch.device) -> Tensor:
    anchors = torch.arange(first, first + num, device=device)
    return (anchors[:, None] != torch.arange(total, device=device))[None]
