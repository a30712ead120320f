"""What Prometheus hears of training, through the endpoint that Ray serves on the driver's node.

Labels are lanes, roles and objectives, never trials or stages, so that series stay few. None is
called `run` or `role`: the chart gives those to the pods that Prometheus reads.
"""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ray.util.metrics import Counter, Gauge

from pricon.launch.events import (
    EpochDone,
    LaneDone,
    LaneEvent,
    LaneRestarted,
    PackBegun,
    StagesDone,
)

_log = logging.getLogger(__name__)
_LANE = ("lane",)
REPEAT_S = 1.0
"""So often are gauges exported again; Ray's own interval is at least that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that is exported.

    Args:
        text: what it says.
        labels: names of its labels.
        is_counter: whether readings add up; the last one counts otherwise.
    """

    text: str
    labels: tuple[str, ...] = _LANE
    is_counter: bool = False


METRICS: Mapping[str, Metric] = {
    "pricon_epoch": Metric(text="Epochs done of the pack that trains."),
    "pricon_live_members": Metric(text="Models of the pack that still train; 0 between packs."),
    "pricon_validation_loss": Metric(
        text="Mean validation loss of the pack's models that were judged.",
        labels=("lane", "stage", "objective"),
    ),
    "pricon_stages_committed": Metric(text="Stages committed.", is_counter=True),
    "pricon_stages_failed": Metric(text="Stages that failed for good.", is_counter=True),
}
"""By name. Prometheus reads `ray_` before it, and `_total` after that of a counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an event says of one metric."""

    metric: str
    value: float
    labels: Mapping[str, str]


def readings_of(event: LaneEvent) -> Iterator[Reading]:
    """What an event says in numbers; a loss that is none, or not finite, is left out."""
    lane = {"lane": str(event.lane)}
    match event:
        case PackBegun(stages=stages):
            yield Reading(metric="pricon_live_members", value=len(stages), labels=lane)
        case LaneRestarted():
            yield Reading(metric="pricon_live_members", value=0, labels=lane)
        case EpochDone(epoch=epoch, live=live, validation_loss=loss):
            yield Reading(metric="pricon_epoch", value=epoch, labels=lane)
            yield Reading(metric="pricon_live_members", value=live, labels=lane)
            if loss is not None and math.isfinite(loss):
                labels = {**lane, "stage": event.role, "objective": event.objective}
                yield Reading(metric="pricon_validation_loss", value=loss, labels=labels)
        case StagesDone(committed=committed, failed=failed):
            yield Reading(metric="pricon_live_members", value=0, labels=lane)
            if committed:
                yield Reading(metric="pricon_stages_committed", value=len(committed), labels=lane)
            if failed:
                yield Reading(metric="pricon_stages_failed", value=len(failed), labels=lane)


class Gauges:
    """Exports what events say; made in a process that has joined Ray.

    Nothing here raises: after Ray's first error the rest of the run goes without.
    """

    def __init__(self) -> None:
        self.is_broken = False
        self.metrics: dict[str, Counter | Gauge] = {}
        self.newest: dict[tuple[int, str], Reading] = {}
        self.repeated_at = 0.0

    def show(self, event: LaneEvent) -> None:
        """Export what an event says; gauges of a lane that has ended go away."""
        if isinstance(event, LaneDone):
            self.newest = {key: it for key, it in self.newest.items() if key[0] != event.lane}
        readings = [*readings_of(event)]
        for reading in readings:
            if not METRICS[reading.metric].is_counter:
                self.newest[event.lane, reading.metric] = reading
        self._export(readings)

    def repeat(self) -> None:
        """Export gauges again, now and then: Ray forgets one that was not set for 20 s."""
        now = time.monotonic()
        if now - self.repeated_at >= REPEAT_S:
            self.repeated_at = now
            self._export(self.newest.values())

    def _export(self, readings: Iterable[Reading]) -> None:
        if self.is_broken:
            return
        try:
            for reading in readings:
                self._record(reading)
        except Exception as err:  # no picture of training is worth any of it
            self.is_broken = True
            _log.warning("no metrics of training any more: %s: %s", type(err).__name__, err)

    def _record(self, reading: Reading) -> None:
        name, labels = reading.metric, dict(reading.labels)
        if name not in self.metrics:
            asked = METRICS[name]
            kind = Counter if asked.is_counter else Gauge
            self.metrics[name] = kind(name, asked.text, asked.labels)
        metric = self.metrics[name]
        if isinstance(metric, Gauge):
            metric.set(reading.value, labels)
        else:
            metric.inc(reading.value, labels)
