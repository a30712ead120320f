"""One lane on Ray: Ray Train runs, one after another as workers or controllers are lost.

One worker group a lane, however many trials the lane holds: starting a group costs ten seconds and
more, training an affect model often less. Ray Train's own checkpoints are not used; what counts is
in storage under our commit records, because a returned `report` does not mean a durable checkpoint.
"""

import threading
import uuid
from dataclasses import dataclass
from typing import Any

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

from pricon.launch.events import LaneRestarted
from pricon.launch.lanes import Assignment
from pricon.launch.mailbox import Distance
from pricon.launch.nodes import has_lost_more_than, lost_nodes
from pricon.launch.ray_worker import collective_timeout_s, train_lane
from pricon.launch.sizing import Share
from pricon.launch.starts import (
    callbacks_of,
    has_waited_in_vain,
    lost_its_controller,
    may_start_again,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A lane's work, where it is done, and whether anybody still wants it.

    Args:
        assignment: the work.
        share: what the lane gets of its Ray.
        mailbox: where its workers leave what they say.
        folder: for what Ray Train writes.
        is_over: set when nobody wants it any more.
        is_alone: whether nothing else runs in its Ray.
    """

    assignment: Assignment
    share: Share
    mailbox: Any
    folder: str
    is_over: threading.Event
    is_alone: bool


def fit_through_losses(work: Work) -> None:
    """Begin again where workers are lost that Ray Train does not replace by itself.

    Preemption is nobody's failure, and costs no retry, as long as the lane gets further between two
    losses: a worker that takes its node with it at every start, for want of memory, does not. A
    worker that is lost while it starts costs one, beside those that Ray Train has used until then,
    and so does a controller. Of one that dies before its workers are there, nobody may know what it
    has reserved: until the lane gets further, a wait in vain may be for that, and costs one, too.

    Raises:
        Exception: what Ray Train raised at last.
    """
    resources, mailbox = work.assignment.job.resources, work.mailbox
    lane, retries = work.assignment.lane, resources.max_failures
    lost_controller_at: Distance | None = None
    before = ray.get(mailbox.distance_of.remote(lane))
    while not work.is_over.is_set():
        lost, known = lost_nodes(), ray.get(mailbox.losses_of.remote(lane))
        try:
            return _fit(work, retries)
        except Exception as err:
            used = ray.get(mailbox.losses_of.remote(lane)) - known
            now = ray.get(mailbox.distance_of.remote(lane))
            if has_waited_in_vain(err):
                retries -= used + (lost_controller_at == now)
                if retries < 0:
                    raise
                continue
            if is_headless := lost_its_controller(err):
                lost_controller_at = now
                _give_back(work)
            # A controller is on the driver's own node, which is there.
            if not is_headless and now > before and has_lost_more_than(lost, work.is_over):
                before, retries = now, resources.max_failures
            elif retries > used and may_start_again(err, resources.workers_per_lane):
                retries -= used + 1
            else:
                raise
            ray.get(mailbox.put.remote(LaneRestarted(lane=lane)))


def _give_back(work: Work) -> None:
    """What a controller that is dead had reserved; all that there is, where it was alone."""
    group: PlacementGroup | None = ray.get(work.mailbox.reserved_by.remote(work.assignment.lane))
    groups = [] if group is None else [group]
    if work.is_alone:
        there = placement_group_table()
        groups = [PlacementGroup(ray.PlacementGroupID(bytes.fromhex(name))) for name in there]
    for one in groups:
        remove_placement_group(one)  # of one that is gone, nothing


def _fit(work: Work, retries: int) -> None:
    """One Ray Train run, which replaces workers lost in training `retries` times.

    Its name is new each time: Ray takes a known one for finished work.
    """
    assignment = work.assignment
    resources = assignment.job.resources
    TorchTrainer(
        train_lane,
        train_loop_config={"assignment": assignment, "mailbox": work.mailbox},
        scaling_config=ScalingConfig(
            num_workers=resources.workers_per_lane,
            use_gpu=work.share.gpus > 0,
            resources_per_worker=work.share.of_worker(resources),
        ),
        run_config=RunConfig(
            name=f"{assignment.plan.run_id}-{assignment.lane}-{uuid.uuid4().hex[:8]}",
            storage_path=work.folder,
            # A start that fails is ours to judge; Ray would start again without end.
            failure_config=FailureConfig(max_failures=retries, controller_failure_limit=0),
            callbacks=callbacks_of(work.mailbox, assignment.lane),
        ),
        torch_config=TorchConfig(timeout_s=collective_timeout_s(resources.hung_after_s)),
    ).fit()
