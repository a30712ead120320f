"""State of a pack in storage: committed in two steps, verified before it is believed.

A checkpoint is a payload and, written after it, a commit record with the payload's SHA-256. Without
a record that verifies it does not exist; the one before it is taken instead.
"""

import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pricon.errors import CorpusError, StorageError
from pricon.heartbeat import beat
from pricon.storage import Storage
from pricon.train.notice import Notice
from pricon.train.pack import Pack

_log = logging.getLogger(__name__)
_LEAVING_S = 2.0
"""Between checkpoints of a process that goes on after notice, for as long as it may."""
KEPT = 2
"""Checkpoints of a pack that stay: the newest, and one to fall back on."""


class Checkpoints:
    """Checkpoints of one pack.

    Args:
        storage: folder of this pack's checkpoints; None keeps none.
        stage_ids: the pack's members, in their order.
        interval_s: least time between two of them.
        kept: told the pack when a checkpoint of it is committed.
        notice: that a rank will be stopped; then one is saved at once.
    """

    def __init__(
        self,
        storage: Storage | None,
        stage_ids: Sequence[str],
        interval_s: float,
        kept: Callable[[Pack], None] = lambda _: None,
        notice: Notice | None = None,
    ) -> None:
        self.storage = storage
        self.stage_ids = list(stage_ids)
        self.interval_s = interval_s
        self.kept = kept
        self.notice = notice or Notice(None)
        self.saved_at = time.monotonic()

    def save_if_due(self, pack: Pack) -> None:
        """Save, on rank 0, where `interval_s` has passed since the last time, or on notice.

        One notice soon after another is heeded by what the other had saved: all workers of a node
        may pass on the same.
        """
        self.notice.look()
        if pack.ranks.index > 0:
            return
        interval_s = min(self.interval_s, _LEAVING_S) if self.notice.is_heeded else self.interval_s
        is_first = self.notice.is_new and not self.notice.is_heeded
        if is_first or time.monotonic() - self.saved_at >= interval_s:
            self.save(pack)
        if self.notice.is_new:
            self.notice.heed()

    def save(self, pack: Pack) -> None:
        """Write payload, then commit record, then forget the oldest checkpoints."""
        if self.storage is None:
            return
        buffer = io.BytesIO()
        torch.save({"stage_ids": self.stage_ids, "pack": pack.state()}, buffer)
        payload = buffer.getvalue()
        name = f"epoch-{pack.num_epochs:06d}-{pack.num_batches:09d}"
        record = {"sha256": hashlib.sha256(payload).hexdigest(), "num_bytes": len(payload)}
        self.storage.write(f"{name}.pt", payload)
        beat()
        self.storage.write(f"{name}.commit.json", json.dumps(record).encode())
        self.saved_at = time.monotonic()
        self.kept(pack)
        for old in self._names()[KEPT:]:
            self._forget(old)

    def restore(self, pack: Pack) -> None:
        """Bring `pack` to the newest checkpoint that verifies and holds all its members.

        Raises:
            StorageError: the store failed, or does not show every rank the same.
        """
        name = pack.ranks.agree(self._newest() if pack.ranks.index == 0 else None)
        if name is None:
            return
        content = self._verified(name)
        if content is None:
            raise StorageError(
                f"rank {pack.ranks.index} cannot read checkpoint {name}, which rank 0 can",
                "all workers of a lane must see the same storage",
            )
        members = [content["stage_ids"].index(stage_id) for stage_id in self.stage_ids]
        pack.restore(content["pack"], members)
        _log.info(
            "going on from a checkpoint  epochs=%d batches=%d", pack.num_epochs, pack.num_batches
        )

    def clear(self) -> None:
        """Remove everything, orphans included; called when the pack's results are committed."""
        if self.storage is not None:
            for path in self.storage.list():
                self.storage.delete(path)

    def _newest(self) -> str | None:
        """The newest checkpoint that verifies and holds all members."""
        for name in self._names():
            content = self._verified(name)
            if content is not None and {*self.stage_ids} <= {*content["stage_ids"]}:
                return name
        return None

    def _names(self) -> list[str]:
        """Newest first, committed or not."""
        paths = [] if self.storage is None else self.storage.list()
        return sorted({path.split(".")[0] for path in paths}, reverse=True)

    def _forget(self, name: str) -> None:
        if self.storage is not None:
            self.storage.delete(f"{name}.commit.json")
            self.storage.delete(f"{name}.pt")

    def _verified(self, name: str) -> dict[str, Any] | None:
        if self.storage is None:
            return None
        try:
            record = json.loads(self.storage.read(f"{name}.commit.json"))
            expected = record["sha256"]
            payload = self.storage.read(f"{name}.pt")
            beat()
        except StorageError:
            raise  # a store that fails says nothing about what it holds
        except (CorpusError, ValueError, KeyError, TypeError):
            _log.warning("checkpoint without a commit record is passed over  name=%s", name)
            return None
        if hashlib.sha256(payload).hexdigest() != expected:
            _log.warning("damaged checkpoint is passed over  name=%s", name)
            return None
        content: dict[str, Any] = torch.load(
            io.BytesIO(payload), weights_only=True, map_location="cpu"
        )
        return content
