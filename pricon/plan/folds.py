"""Participants -> folds. Nobody is in two parts of a fold."""

from pricon.errors import PlanError
from pricon.plan.identity import keyed_order
from pricon.plan.plan import Split
from pricon.spec.folds import FoldSpec


def split_participants(
    participants: tuple[str, ...], folds: FoldSpec, seed: int
) -> tuple[Split, ...]:
    """One split a fold.

    Test participants depend on `folds.seed` alone, so that folds stay fixed over the job's seeds;
    `seed` chooses the validation participants.

    Raises:
        PlanError: fewer participants than the folds need.
    """
    order = keyed_order(participants, "folds", folds.seed)
    groups = _deal(order, _num_folds(len(order), folds))
    splits = []
    for index, test in enumerate(groups):
        tested = {*test}
        others = tuple(person for person in order if person not in tested)
        rest = keyed_order(others, "validation", seed, index)
        num_validation = max(folds.validation_minimum, round(folds.validation_share * len(rest)))
        if len(rest) <= num_validation:
            raise PlanError(
                f"fold {index} has {len(rest)} participants beside its test split, "
                f"too few to train and to hold out {num_validation} for validation",
                "lower `folds.validation_minimum` or use more participants",
            )
        splits.append(
            Split(
                train=tuple(sorted(rest[num_validation:])),
                validation=tuple(sorted(rest[:num_validation])),
                test=tuple(sorted(test)),
            )
        )
    return tuple(splits)


def _num_folds(num_participants: int, folds: FoldSpec) -> int:
    match folds.scheme:
        case "group_k_fold":
            count = folds.count
        case "leave_one_out":
            count = num_participants
        case "leave_n_out":
            count = -(-num_participants // folds.count)
            if count < 2 <= num_participants:
                raise PlanError(
                    f"`leave_n_out` with {folds.count} test participants a fold leaves nobody to "
                    f"train: the corpus has {num_participants} participants",
                    f"set `folds.count` to a number from 1 to {num_participants - 1}",
                )
    if count > num_participants or count < 2:
        raise PlanError(
            f"{count} folds asked for, but the corpus has {num_participants} participants",
            f"set `folds.count` to a number from 2 to {num_participants}, or use more participants"
            if num_participants >= 2
            else "cross-validation needs at least two participants",
        )
    return count


def _deal(order: tuple[str, ...], count: int) -> list[tuple[str, ...]]:
    """`count` groups whose sizes differ by one at most."""
    return [order[index::count] for index in range(count)]
