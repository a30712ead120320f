"""The leakage guard's checks on a plan. Fails closed: what cannot be shown is an error."""

from dataclasses import dataclass
from itertools import combinations

from pricon.errors import PlanError
from pricon.plan.plan import Plan
from pricon.plan.summary import CorpusSummary


@dataclass(frozen=True, slots=True)
class Check:
    """A property that was checked and holds, in words for the dry run."""

    name: str
    seen: str


def check_leakage(plan: Plan, corpus: CorpusSummary) -> tuple[Check, ...]:
    """All checks that a plan must pass before anything is trained.

    Raises:
        PlanError: a participant, a recording or a teacher crosses the border between splits.
    """
    return (
        _participants_apart(plan),
        _recordings_apart(corpus),
        _teachers_stay(plan),
        _students_see_what_is_available(plan),
    )


def _participants_apart(plan: Plan) -> Check:
    for cell in plan.cells:
        parts = (cell.split.train, cell.split.validation, cell.split.test)
        for one, other in combinations(parts, 2):
            if both := {*one} & {*other}:
                raise PlanError(f"participant {min(both)} is in two splits of {cell}")
    return Check("participants", f"disjoint between the splits of all {len(plan.cells)} cells")


def _recordings_apart(corpus: CorpusSummary) -> Check:
    """Windows can only overlap inside one recording, so a recording must have one participant."""
    owner: dict[str, str] = {}
    content: dict[str, tuple[str, str]] = {}
    for session in corpus.sessions:
        if owner.setdefault(session.id, session.participant) != session.participant:
            raise PlanError(
                f"session {session.id} belongs to two participants: "
                f"{owner[session.id]} and {session.participant}",
                "give each recording an id of its own in the corpus",
            )
        if session.sha256 is None:
            continue
        participant, other = content.setdefault(session.sha256, (session.participant, session.id))
        if participant != session.participant:
            raise PlanError(
                f"the same recording stands under two participants: session {other} of "
                f"{participant} and session {session.id} of {session.participant} are identical",
                "remove one of them and build the corpus again",
            )
    seen = "no two participants share one"
    if not corpus.digest:
        seen = "their bytes are compared when the corpus is built"
    return Check("recordings", f"{len(corpus.sessions)} sessions, {seen}")


def _teachers_stay(plan: Plan) -> Check:
    supervised = 0
    for stage in plan.stages:
        if stage.source is None:
            continue
        source = plan.stage_by_id[stage.source]
        supervised += stage.role == "student"
        if source.cell != stage.cell:
            raise PlanError(
                f"{stage.role} {stage.id} of {plan.cells[stage.cell]} builds on "
                f"{source.role} {source.id} of {plan.cells[source.cell]}"
            )
    return Check("teachers", f"all {supervised} supervised students have one of their own fold")


def _students_see_what_is_available(plan: Plan) -> Check:
    students = 0
    for trial in plan.trials:
        last = plan.stage_by_id[trial.stages[-1]]
        students += last.role == "student"
        if last.modalities != trial.available:
            extra = {*last.modalities} - {*trial.available}
            raise PlanError(f"the {last.role} of trial {trial.id} reads {', '.join(sorted(extra))}")
    return Check("students", f"all {students} read available modalities only")
