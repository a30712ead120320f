"""Classes are counted before anything starts, and a fold that cannot be used says why."""

import tracemalloc
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import open_corpus
from pricon.errors import PlanError
from pricon.launch.preflight import check_classes
from pricon.plan.plan import Plan
from pricon.plan.summary import CorpusSummary
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from tests.plan.problem import job, summary

PEOPLE = summary().participants
HIGH, LOW, BETWEEN = 0.9, 0.1, 0.52
"""Affect of a window; every session's mean is 0.5 and the margin 0.05."""


@dataclass
class Traces:
    """A corpus of which only the index exists: what each participant felt in each window."""

    affect: dict[str, list[float]] = field(
        default_factory=lambda: {person: [HIGH, LOW, BETWEEN, HIGH] for person in PEOPLE}
    )

    summary: CorpusSummary = field(default_factory=summary)
    step: float = 0.5

    def index(self, stimuli: tuple[str, ...] = ()) -> WindowIndex:
        assert stimuli == ("fps",)
        person = np.array([name for name, values in self.affect.items() for _ in values])
        values = np.concatenate([np.array(values) for values in self.affect.values()])
        num = len(values)
        return WindowIndex(
            window=np.arange(num),
            participant=person,
            session=person,
            stimulus=np.full(num, "fps"),
            t_start_s=np.zeros(num),
            t_end_s=np.ones(num),
            affect={"arousal": values},
            change={"arousal": np.full(num, abs(self.step))},
            trend={"arousal": np.full(num, self.step)},
            session_mean={"arousal": np.full(num, 0.5)},
        )


def checked(spec: JobSpec, traces: Any) -> Any:
    return check_classes(plan_trials(spec, summary()), spec, traces)


def first_split(plan: Plan, part: str) -> tuple[str, ...]:
    people: tuple[str, ...] = getattr(plan.cells[0].split, part)
    return people


def shown(people: tuple[str, ...]) -> str:
    more = f" and {len(people) - 4} more" if len(people) > 4 else ""
    return ", ".join(people[:4]) + more


def traces_with(people: tuple[str, ...], *values: float) -> Traces:
    traces = Traces()
    traces.affect.update({person: [*values] for person in people})
    return traces


def test_every_fold_is_counted() -> None:
    spec = job()
    plan = plan_trials(spec, summary())
    balances = checked(spec, Traces())
    assert [balance.cell for balance in balances] == [*plan.cells]
    for balance in balances:
        split = balance.cell.split
        assert balance.num_windows == {
            "train": 3 * len(split.train),
            "validation": 3 * len(split.validation),
            "test": 3 * len(split.test),
            "dropped": len(PEOPLE),
        }
        assert balance.share_high == pytest.approx(
            {"train": 2 / 3, "validation": 2 / 3, "test": 2 / 3}
        )


def test_shares_are_those_of_the_people_of_each_split() -> None:
    spec = job()
    people = first_split(plan_trials(spec, summary()), "test")
    balance = checked(spec, traces_with(people, HIGH, LOW, LOW, LOW, BETWEEN))[0]
    assert balance.share_high == pytest.approx({"train": 2 / 3, "validation": 2 / 3, "test": 1 / 4})
    assert balance.num_windows["test"] == 4 * len(people)
    assert balance.num_windows["dropped"] == len(PEOPLE)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(("left", "missing"), [(HIGH, "low"), (LOW, "high")])
def test_a_split_without_a_class_names_everything(part: str, left: float, missing: str) -> None:
    spec = job()
    people = first_split(plan_trials(spec, summary()), part)
    with pytest.raises(PlanError, match=f"has no {part} window") as caught:
        checked(spec, traces_with(people, left, left, BETWEEN))
    assert caught.value.message == (
        f"fold 0 (seed 0, fps, arousal) has no {part} window of class `{missing}` "
        f"(participants {shown(people)})"
    )
    hint = caught.value.hint or ""
    assert "lower `folds.count` or `label.margin`" in hint
    assert ("folds.require_all_classes: false" in hint) == (part != "train")


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_held_out_split_may_lack_a_class_where_the_job_says_so(part: str) -> None:
    spec = job(folds={"require_all_classes": False})
    people = first_split(plan_trials(spec, summary()), part)
    balances = checked(spec, traces_with(people, HIGH, HIGH))
    assert balances[0].share_high[part] == 1.0


def test_a_training_split_never_may() -> None:
    spec = job(folds={"require_all_classes": False})
    people = first_split(plan_trials(spec, summary()), "train")
    with pytest.raises(PlanError, match="has no train window of class `low`") as caught:
        checked(spec, traces_with(people, HIGH))
    assert caught.value.hint == "lower `folds.count` or `label.margin`, or mend `label.threshold`"


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_split_without_any_window_is_never_usable(part: str) -> None:
    spec = job(folds={"require_all_classes": False})
    people = first_split(plan_trials(spec, summary()), part)
    with pytest.raises(PlanError, match=f"no {part} window outside the margin") as caught:
        checked(spec, traces_with(people, BETWEEN, BETWEEN))
    assert caught.value.hint == "lower `folds.count` or `label.margin`, or mend `label.threshold`"


@pytest.mark.parametrize("require", [True, False])
def test_a_margin_that_swallows_everything_is_refused(require: bool) -> None:
    spec = job(label={"margin": 0.45}, folds={"require_all_classes": require})
    with pytest.raises(
        PlanError, match=r"fold 0 \(seed 0, fps, arousal\) has no train window"
    ) as caught:
        checked(spec, Traces())
    assert "label.margin" in (caught.value.hint or "")


def test_the_summary_of_a_corpus_is_what_its_manifest_says(built: JobSpec) -> None:
    corpus = open_corpus(open_storage(built.corpus.uri))
    found = corpus.summary
    assert found.digest == corpus.manifest.digest
    assert found.generated
    assert found.modalities == ("frames", "telemetry")
    assert found.affects == ("arousal",)
    assert len(found.participants) == 8
    assert [session.id for session in found.sessions] == [s.id for s in corpus.manifest.sessions]
    index = corpus.index()
    for session in found.sessions:
        assert {*index.participant[index.session == session.id].tolist()} == {session.participant}
        assert {*index.stimulus[index.session == session.id].tolist()} == {session.stimulus}
    assert len({session.sha256 for session in found.sessions}) == len(found.sessions)


@pytest.mark.parametrize(
    ("contrast", "hint"),
    [
        ({"contrast": "change", "change_threshold": 0.01}, "teacher.contrastive.change_threshold"),
        ({"contrast": "trend"}, "choose another `teacher.contrastive.contrast`"),
    ],
)
def test_pretraining_needs_something_to_tell_apart(contrast: dict[str, Any], hint: str) -> None:
    """Every window's trace rises by far more than the threshold."""
    spec = job(teacher={"contrastive": contrast})
    with pytest.raises(PlanError, match="all train windows are alike under") as caught:
        checked(spec, Traces())
    assert f"`teacher.contrastive.contrast: {contrast['contrast']}`" in caught.value.message
    assert hint in (caught.value.hint or "")
    checked(spec.model_copy(update={"arms": ("e2e", "lupi")}), Traces())


@pytest.mark.parametrize("contrast", ["change", "trend"])
def test_recordings_of_one_tick_each_have_no_trend(contrast: str) -> None:
    spec = job(teacher={"contrastive": {"contrast": contrast}})
    with pytest.raises(PlanError, match="all train windows say nothing under") as caught:
        checked(spec, Traces(step=float("nan")))
    assert caught.value.hint == "choose another `teacher.contrastive.contrast`"


def test_early_stopping_of_pretraining_needs_two_alike() -> None:
    spec = job(folds={"require_all_classes": False})
    people = first_split(plan_trials(spec, summary()), "validation")
    lonely = traces_with(people, BETWEEN)
    lonely.affect[people[0]] = [HIGH, LOW]
    if len(people) > 1:
        lonely.affect[people[1]] = [BETWEEN]
    with pytest.raises(PlanError, match="no two validation windows are alike under"):
        checked(spec, lonely)


def test_a_grid_looks_at_no_test_participant() -> None:
    """An ordinary job is refused for what a grid's job does not know."""
    people = first_split(plan_trials(job(), summary()), "test")
    one_class = traces_with(people, HIGH, HIGH, HIGH)
    with pytest.raises(PlanError, match="has no test window of class `low`"):
        checked(job(), one_class)
    grid = job(arms=["e2e", "lupi"], sensitivity={"distillation_weight": [0.25, 1]}, seeds=[0])
    whole = summary()
    cells = plan_trials(grid, whole, only_folds=(0,))
    balances = check_classes(cells, grid, one_class)
    assert [{*balance.num_windows} for balance in balances] == [{"train", "validation", "dropped"}]
    assert {*balances[0].share_high} == {"train", "validation"}


def regression(**changes: Any) -> JobSpec:
    return job(task="regression", **changes)


def test_every_fold_of_a_regression_job_is_counted() -> None:
    balances = checked(regression(), Traces())
    for balance in balances:
        people = balance.cell.split
        assert balance.num_windows["train"] == 4 * len(people.train), "also what is in between"
        assert balance.num_windows["dropped"] == 0
        assert balance.share_high == {}
        values = np.array([HIGH, LOW, BETWEEN, HIGH])
        assert balance.affect["test"] == pytest.approx((values.mean(), values.std()), abs=1e-6)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_regression_split_without_annotation_is_refused(part: str) -> None:
    spec = regression(arms=["e2e"])
    people = first_split(plan_trials(spec, summary()), part)
    with pytest.raises(PlanError) as info:
        checked(spec, traces_with(people, float("nan"), float("nan")))
    assert info.value.message == (
        f"fold 0 (seed 0, fps, arousal) has no annotated {part} window "
        f"(participants {shown(people)})"
    )
    assert "annotated" in (info.value.hint or "")


def test_affect_that_does_not_vary_is_refused() -> None:
    spec = regression(arms=["e2e"])
    people = first_split(plan_trials(spec, summary()), "train")
    with pytest.raises(PlanError) as info:
        checked(spec, traces_with(people, HIGH, HIGH))
    assert info.value.message == (
        "fold 0 (seed 0, fps, arousal): arousal is the same in all train windows, so there is "
        f"nothing to predict (participants {shown(people)})"
    )
    assert info.value.hint == "look at the annotation of these participants"


def test_contrastive_arms_of_a_regression_job_need_classes_and_others_do_not() -> None:
    """Nobody is low: affect still varies, but there is nothing to contrast."""
    traces = Traces({person: [HIGH, HIGH - 0.1, BETWEEN] for person in PEOPLE})
    checked(regression(arms=["e2e", "lupi"]), traces)
    for arms in (["pricon"], ["pricon", "pricon_random"], ["scl"]):
        with pytest.raises(PlanError, match="has no train window of class `low`"):
            checked(regression(arms=["e2e", *arms]), traces)


def test_cells_are_checked_one_after_the_other_in_the_room_of_one() -> None:
    """Labels and rows of all cells at once are gigabytes where cells and windows are many."""
    traces = traces_with(PEOPLE, *([HIGH, LOW, BETWEEN, HIGH] * 500))

    def room(seeds: int) -> int:
        spec = job(seeds=[*range(seeds)])
        plan = plan_trials(spec, summary())
        tracemalloc.start()
        check_classes(plan, spec, traces)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert room(10) < 1.5 * room(1)
