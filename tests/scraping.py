"""Reads a metrics endpoint again and again, as Prometheus does."""

import threading
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]
"""Of a series, sorted."""

_EVERY_S = 0.3


class Scraper:
    """Keeps what was read while it was open; of what was there before, the names alone."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: dict[str, dict[Labels, list[float]]] = {}
        self.names: set[str] = set()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> "Scraper":
        self.before = {(name, labels) for name, labels, _ in self._read()}
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.is_over.set()
        self.thread.join()

    def values(self, name: str) -> dict[Labels, list[float]]:
        """Series of a metric, by labels: what each was, in order."""
        return self.seen.get(name, {})

    def now(self, name: str, **labels: str) -> list[float]:
        """What the series of a metric that have these labels are at this moment."""
        return [
            value
            for found, these, value in self._read()
            if found == name and labels.items() <= dict(these).items()
        ]

    def _read_on(self) -> None:
        while not self.is_over.is_set():
            self._keep()
            self.is_over.wait(_EVERY_S)
        self._keep()  # what a driver said with its last breath

    def _keep(self) -> None:
        for name, labels, value in self._read():
            self.names.add(name)
            if (name, labels) not in self.before:
                self.seen.setdefault(name, {}).setdefault(labels, []).append(value)

    def _read(self) -> list[tuple[str, Labels, float]]:
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            text = answer.read().decode()
        return [
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, f"not {what} within {within_s} s"
        time.sleep(0.2)
