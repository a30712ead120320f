"""Which stages a lane trains, in which packs, and what it does about records that are gone."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pricon.corpus.reader import open_corpus
from pricon.launch.events import CheckpointKept, EpochDone, Event, PackBegun, StagesDone
from pricon.launch.lanes import Assignment
from pricon.launch.worker import members_at_most, packs_of, run_lane
from pricon.plan.plan import Plan, Stage, Trial
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from pricon.train.ranks import Ranks
from pricon.train.records import Records
from tests.launch.rehearsal import stage_files
from tests.plan.problem import job as planned_job
from tests.plan.problem import summary
from tests.tiny import QUICK, build, tiny_document

ORDER = ("majority", "teacher", "probe", "student")


def wide_plan() -> Plan:
    """Two stimuli, two seeds, five folds, two students a cell, three lanes."""
    spec = planned_job(
        modalities={"available": ["frames", ["frames", "sound"]], "privileged": ["telemetry"]},
        resources={"lanes": 3},
    )
    corpus = summary(stimuli=("fps", "solid"))
    with_sound = type(corpus)(
        digest=corpus.digest,
        generated=True,
        modalities=(*corpus.modalities, "sound"),
        affects=corpus.affects,
        sessions=corpus.sessions,
    )
    return plan_trials(spec, with_sound)


@pytest.mark.parametrize("most", [1, 3, 256])
def test_packs_hold_every_stage_of_the_lane_once_and_are_no_larger_than_allowed(most: int) -> None:
    plan = wide_plan()
    for lane in plan.lanes:
        packs = list(packs_of(plan, lane, lambda _: most))
        assert max(map(len, packs)) <= most
        seen = [stage.id for pack in packs for stage in pack]
        assert sorted(seen) == sorted(stage.id for stage in plan.stages_of(lane))
        if most == 256:
            # 2 stimuli x (majority, two teachers, probe, two kinds of student)
            assert len(packs) == 12


@pytest.mark.parametrize("most", [1, 3, 256])
def test_what_a_stage_builds_on_comes_in_an_earlier_pack(most: int) -> None:
    plan = wide_plan()
    for lane in plan.lanes:
        place = {
            stage.id: number
            for number, pack in enumerate(packs_of(plan, lane, lambda _: most))
            for stage in pack
        }
        built_on = [stage for stage in plan.stages_of(lane) if stage.source is not None]
        assert built_on
        for stage in built_on:
            assert stage.source is not None
            assert place[stage.source] < place[stage.id]
        packs = list(packs_of(plan, lane, lambda _: most))
        order = [(plan.cells[p[0].cell].stimuli, ORDER.index(p[0].role)) for p in packs]
        assert order == sorted(order), "one stimulus is finished before the next begins"


def test_a_pack_is_of_one_kind() -> None:
    plan = wide_plan()
    for pack in packs_of(plan, plan.lanes[0], lambda _: 256):
        kinds = {(s.role, s.objective, s.modalities, plan.cells[s.cell].stimuli) for s in pack}
        assert len(kinds) == 1


def test_packs_of_sequences_hold_fewer_members() -> None:
    spec = planned_job(
        corpus={
            "adapter": "again",
            "uri": "x",
            "windows": {"window_s": 3, "hop_s": 3, "frames": 12},
        },
        student={"encoder": {"kind": "gru"}},
    )
    limit = members_at_most(spec)
    assert [limit(role) for role in ("teacher", "probe", "student")] == [256, 256, 21]


def planned(job: JobSpec, *arms: str, lanes: int = 1) -> tuple[JobSpec, Plan]:
    resources = job.resources.model_copy(update={"lanes": lanes})
    job = job.model_copy(update={"arms": arms, "resources": resources})
    return job, plan_trials(job, open_corpus(open_storage(job.corpus.uri, job.storage)).summary)


def worked(
    job: JobSpec, plan: Plan, lane: int = 0, listen: Callable[[Event], None] = lambda _: None
) -> list[Event]:
    """What a lane says while it works."""
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        listen(event)

    run_lane(Assignment.of(job, plan, lane), Ranks(), torch.device("cpu"), hear)
    return events


def committed(events: list[Event]) -> list[str]:
    return [s for event in events if isinstance(event, StagesDone) for s in event.committed]


def failed(events: list[Event]) -> dict[str, str]:
    found = [event.failed for event in events if isinstance(event, StagesDone)]
    return {stage: reason for reasons in found for stage, reason in reasons.items()}


def records_of(job: JobSpec) -> Records:
    return Records(open_storage(f"{job.output}/stages"))


def chain_of(plan: Plan, trial: Trial) -> list[Stage]:
    return [plan.stage_by_id[stage_id] for stage_id in trial.stages]


def damage(job: JobSpec, stage_id: str) -> None:
    (file,) = (Path(job.output) / "stages").glob(f"{stage_id}-*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_lane_trains_its_own_cells_and_no_others(job: JobSpec) -> None:
    job, plan = planned(job, "majority", "e2e", "lupi", lanes=2)
    for lane in plan.lanes:
        seen = Counter(committed(worked(job, plan, lane.index)))
        assert seen == Counter(stage.id for stage in plan.stages_of(lane))
    assert len(stage_files(job)) == len(plan.stages)


@pytest.mark.s3
@pytest.mark.parametrize("streaming", [None, {"buffer_mb": 1}], ids=["resident", "streaming"])
def test_lanes_share_what_was_downloaded(
    streaming: dict[str, float] | None, s3: StorageSpec, s3_uri: str, tmp_path: Path
) -> None:
    """The second finds nothing but the manifest in the bucket, and everything else on its disk."""
    document = tiny_document(
        tmp_path,
        storage=s3.model_dump(),
        optimisation={**QUICK, "streaming": streaming},
        resources={"cache": {"folder": str(tmp_path / "cache")}},
    )
    document["corpus"]["uri"] = s3_uri
    job, plan = planned(build(JobSpec.model_validate(document)), "e2e", "lupi", lanes=2)
    alone = job.model_copy(update={"output": str(tmp_path / "alone")})
    worked(alone, plan, 1)
    assert worked(job, plan, 0)
    bucket = open_storage(s3_uri, s3)
    manifest = bucket.read("manifest.json")
    for path in bucket.list():
        bucket.delete(path)
    bucket.write("manifest.json", manifest)
    assert not failed(worked(job, plan, 1))
    for stage in plan.stages_of(plan.lanes[1]):
        one, other = records_of(job).load(stage.id), records_of(alone).load(stage.id)
        assert one is not None
        assert other is not None
        assert np.array_equal(one.arrays["parameters"], other.arrays["parameters"])


def test_every_epoch_is_told(job: JobSpec) -> None:
    job, plan = planned(job, "lupi")
    events = worked(job, plan)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    by_role = {role: [e for e in epochs if e.role == role] for role in ("teacher", "student")}
    assert by_role["teacher"][0].pack == "fps teacher frames+telemetry"
    assert by_role["student"][0].pack == "fps student frames"
    for told in by_role.values():
        assert [event.epoch for event in told] == list(range(1, len(told) + 1))
        assert {(event.epochs, event.members) for event in told} == {(3, 2)}
        assert all(0 < (event.validation_loss or 0) < 5 for event in told)


def test_what_begins_is_told_before_its_epochs_and_ends(job: JobSpec) -> None:
    job, plan = planned(job, "majority", "lupi")
    events = worked(job, plan)
    told = [event for event in events if not isinstance(event, EpochDone)]
    majorities, *rest = told
    assert isinstance(majorities, StagesDone), "counted at once, so it does not begin"
    assert [type(event) for event in rest] == [PackBegun, StagesDone] * 2
    for begun, done in zip(rest[::2], rest[1::2], strict=True):
        assert isinstance(begun, PackBegun)
        assert isinstance(done, StagesDone)
        assert begun.stages == done.committed
        assert isinstance(events[events.index(begun) + 1], EpochDone)


def test_a_teacher_that_nobody_waits_for_is_not_trained_again(job: JobSpec) -> None:
    job, plan = planned(job, "lupi", "pricon")
    worked(job, plan)
    records = records_of(job)
    for stage in plan.stages:
        if stage.role != "student":
            records.forget(stage.id)
    left = stage_files(job)
    assert len(left) == 4
    assert worked(job, plan) == []
    assert stage_files(job) == left


def test_a_teacher_whose_result_counts_itself_is_trained_again(job: JobSpec) -> None:
    """`all_modalities` is the same stage as the teacher of `lupi`, and a trial of its own."""
    job, plan = planned(job, "lupi", "all_modalities")
    worked(job, plan)
    teacher = next(stage for stage in plan.stages if stage.role == "teacher")
    records_of(job).forget(teacher.id)
    assert committed(worked(job, plan)) == [teacher.id]


def test_a_missing_student_finds_its_teachers_and_trains_alone(job: JobSpec) -> None:
    job, plan = planned(job, "pricon")
    worked(job, plan)
    before = stage_files(job)
    *teachers, student = chain_of(plan, plan.trials[0])
    records_of(job).forget(student.id)
    events = worked(job, plan)
    assert committed(events) == [student.id]
    assert {e.members for e in events if isinstance(e, EpochDone)} == {1}
    after = stage_files(job)
    assert all(after[f"{stage.id}.json"] == before[f"{stage.id}.json"] for stage in teachers)


def test_a_damaged_teacher_is_trained_again_for_a_student_that_needs_it(job: JobSpec) -> None:
    job, plan = planned(job, "pricon")
    worked(job, plan)
    contrastive, probe, student = chain_of(plan, plan.trials[0])
    records = records_of(job)
    expected = records.load(student.id)
    records.forget(student.id)
    damage(job, probe.id)
    assert records.load(probe.id) is None
    before = stage_files(job)
    assert committed(worked(job, plan)) == [probe.id, student.id]
    assert stage_files(job)[f"{contrastive.id}.json"] == before[f"{contrastive.id}.json"]
    found = records.load(student.id)
    assert expected is not None
    assert found is not None
    for name in ("parameters", "test_probability_high"):
        assert np.allclose(found.arrays[name], expected.arrays[name], rtol=0, atol=1e-5)


def test_a_teacher_damaged_while_the_lane_works_fails_its_own_student_only(job: JobSpec) -> None:
    job, plan = planned(job, "lupi")
    teacher, student = chain_of(plan, plan.trials[0])
    other = plan.trials[1].stages[-1]

    def spoil(event: Event) -> None:
        if isinstance(event, StagesDone) and teacher.id in event.committed:
            damage(job, teacher.id)

    events = worked(job, plan, listen=spoil)
    assert failed(events) == {student.id: "its teacher's record is damaged"}
    assert other in committed(events)
    assert student.id not in committed(events)
    assert committed(worked(job, plan)) == [teacher.id, student.id], "the next attempt mends it"


def test_a_finished_lane_leaves_no_checkpoint(job: JobSpec) -> None:
    job, plan = planned(job, "e2e")
    often = job.resources.model_copy(update={"checkpoint_interval_s": 1e-9})
    job = job.model_copy(update={"resources": often})
    seen: list[int] = []
    folder = Path(job.output) / "checkpoints"
    worked(job, plan, listen=lambda _: seen.append(len(list(folder.rglob("*.pt")))))
    assert max(seen) > 0
    assert not list(folder.rglob("*.*"))


def test_a_checkpoint_is_told_when_it_counts(job: JobSpec) -> None:
    """Whoever hears of it finds its commit record; the last one lies beyond the last epoch."""
    job, plan = planned(job, "e2e")
    often = job.resources.model_copy(update={"checkpoint_interval_s": 1e-9})
    job = job.model_copy(update={"resources": often})
    folder = Path(job.output) / "checkpoints"

    def look(event: Event) -> None:
        if isinstance(event, CheckpointKept):
            name = f"epoch-{event.epoch:06d}-{event.batches:09d}.commit.json"
            assert len([*folder.rglob(name)]) == 1

    events = worked(job, plan, listen=look)
    told = [(e.epoch, e.batches) for e in events if isinstance(e, CheckpointKept)]
    assert told == sorted({*told})
    assert (0, 1) in told, "within the first epoch"
    assert told[-1] == (3, 0)
    assert not [e for e in worked(job, plan) if isinstance(e, CheckpointKept)]


def test_an_interrupted_pack_goes_on_where_it_was(job: JobSpec) -> None:
    job, plan = planned(job, "e2e")
    often = job.resources.model_copy(update={"checkpoint_interval_s": 1e-9})
    job = job.model_copy(update={"resources": often})

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 3:
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        worked(job, plan, listen=stop)
    assert not stage_files(job)
    epochs = [event.epoch for event in worked(job, plan) if isinstance(event, EpochDone)]
    assert epochs == [3]
    assert len(stage_files(job)) == len(plan.stages)
