"""What a finished stage leaves in storage, and when it counts.

`<stage id>-<hash>.safetensors` holds arrays, `<stage id>.json` is the commit record: facts, and the
name and SHA-256 of the arrays, written last. A stage without a record that verifies has not
happened. Two runs that commit the same stage at once write arrays under names of their own, so
whichever record comes last belongs to arrays that are whole.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pricon.errors import CorpusError, StorageError
from pricon.heartbeat import beat
from pricon.storage import Storage

_log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Records that are written or read at the same time."""


class StageFacts(BaseModel):
    """The readable half of a record.

    Args:
        participants: who is in the kept windows, by split: what the leakage guard compares. No test
            split here and below, where the stage is judged on validation participants.
        num_windows: kept windows by split, and `dropped`.
        share_high: share of class high by split; empty where values are predicted.
        affect: mean and standard deviation by split; empty where classes are predicted.
        curves: name -> one value an epoch.
        best_epoch: whose weights were kept, from 0; None where nothing was trained.
        layers: name, inputs, outputs of each layer, in the order of the parameters.
        features: modality -> number of features that carry something in this fold, and of all.
        made_with: commit, versions and device.
        seconds: wall time of the pack that the stage was a member of.
        members: size of that pack.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage_id: str
    role: str
    objective: str
    modalities: tuple[str, ...]
    source: str | None
    participants: Mapping[str, tuple[str, ...]]
    num_windows: Mapping[str, int]
    share_high: Mapping[str, float]
    affect: Mapping[str, tuple[float, float]] = {}
    curves: Mapping[str, tuple[float, ...]]
    best_epoch: int | None
    layers: tuple[tuple[str, int, int], ...]
    features: Mapping[str, tuple[int, int]]
    made_with: Mapping[str, str]
    seconds: float
    members: int


class StageRecord(BaseModel):
    """A finished stage.

    Arrays, where the stage has them:
        parameters: float32, shape (size,), in the order of `facts.layers`.
        mean.<modality>, scale.<modality>: float32, shape (width,); the standardiser.
        test_window, test_label, test_probability_high: int64, int8, float32, shape (kept test
            windows,); under regression test_window, test_label, test_prediction: int64, float32,
            float32, both in the unit of the annotation. `validation_...` in their place where the
            stage is judged on that split.
        affect_mean, affect_scale: float32, shape (1,); under regression what a network calls v is
            v / scale + mean.
        train_window, train_logits: int64 (n,) and float32 (n, 2); what a student learns from.
        train_embedding: float32, shape (n, width); where students imitate the embedding.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    facts: StageFacts
    arrays: dict[str, NDArray[Any]]


def _digest(payload: bytes, facts: Mapping[str, Any]) -> str:
    """SHA-256 of arrays and facts together."""
    return hashlib.sha256(payload + json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Records:
    """Records of stages in one folder of storage, shared by all runs below one output."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def commit_all(self, records: Iterable[StageRecord]) -> None:
        """Commit records, several at once: a disk or a store is mostly waited for."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self.commit, records):
                pass

    def commit(self, record: StageRecord) -> None:
        """Write arrays, then the commit record. From then on the stage is finished."""
        arrays = {name: np.ascontiguousarray(array) for name, array in record.arrays.items()}
        payload = save(arrays)
        stage_id = record.facts.stage_id
        name = f"{stage_id}-{hashlib.sha256(payload).hexdigest()[:16]}.safetensors"
        facts = record.facts.model_dump(mode="json")
        commit = {"arrays": name, "sha256": _digest(payload, facts), "facts": facts}
        self.storage.write(name, payload)
        self.storage.write(f"{stage_id}.json", json.dumps(commit, indent=1).encode())
        beat()

    def committed_ids(self) -> frozenset[str]:
        """Stages that have a commit record, whether or not it verifies."""
        names = self.storage.list()
        return frozenset(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def verified(self, stage_ids: Collection[str]) -> frozenset[str]:
        """Those of some stages whose record is there and verifies."""
        there = self.committed_ids().intersection(stage_ids)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            are_whole = pool.map(lambda stage_id: self.load(stage_id) is not None, there)
            return frozenset(compress(there, are_whole))

    def load_all(self, stage_ids: Collection[str]) -> dict[str, StageRecord | None]:
        """As `load`, several at once, by their ids."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(stage_ids, pool.map(self.load, stage_ids), strict=True))

    def load(self, stage_id: str) -> StageRecord | None:
        """The record of a finished stage; None where there is none that verifies.

        Raises:
            StorageError: the store failed, which says nothing about the stage.
        """
        if not self.storage.exists(f"{stage_id}.json"):
            return None
        try:
            commit = json.loads(self.storage.read(f"{stage_id}.json"))
            payload = self.storage.read(commit["arrays"])
            if _digest(payload, commit["facts"]) != commit["sha256"]:
                raise ValueError("facts and arrays do not match their SHA-256")
            facts = StageFacts.model_validate(commit["facts"])
            if facts.stage_id != stage_id:
                raise ValueError(f"the record is that of stage {facts.stage_id}")
            arrays = load(payload)
        except StorageError:
            raise
        except (CorpusError, SafetensorError, ValueError, KeyError, TypeError) as err:
            _log.warning("damaged record is passed over, its stage will run again: %s", err)
            return None
        beat()
        return StageRecord(facts=facts, arrays=arrays)

    def forget(self, stage_id: str) -> None:
        """Remove a record, its commit first."""
        self.storage.delete(f"{stage_id}.json")
        for path in self.storage.list(f"{stage_id}-"):
            self.storage.delete(path)
