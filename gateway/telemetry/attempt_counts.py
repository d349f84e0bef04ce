"""What is counted of attempts, by the backend that was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.family import Family, Row, Shown
from gateway.telemetry.names import ConfiguredNames, Lingering

V = TypeVar("V", str, int)


class BackendCounts(Generic[V]):
    """Something that is counted at each backend, by a value."""

    def __init__(self) -> None:
        self._counts: dict[SeriesLabels, dict[V, int]] = {}
        self._lingering: Lingering[SeriesLabels] = Lingering()

    def add(self, labels: SeriesLabels, value: V) -> None:
        """Count one."""
        try:
            self._counts[labels][value] += 1
        except KeyError:
            self._counts.setdefault(labels, {})[value] = 1

    def of(self, labels: SeriesLabels) -> dict[V, int]:
        """The counts of one backend, by value.  May be asked in any thread."""
        return self._counts.get(labels, {}).copy()

    def backends(self) -> list[SeriesLabels]:
        """Those that something was counted for.  May be asked in any thread."""
        return list(self._counts)

    def forget_removed(self, names: ConfiguredNames, now: float) -> None:
        """Let go of backends that have been gone from the configuration for long enough."""
        self._lingering.forget(self._counts, names.labels.__contains__, now)


class AttemptCounts(BackendCounts[str]):
    """One counter of attempts; the value is that of its last label, if it has one beside those of the backend."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self._family = family
        self._is_divided = family.labels[-1] != "model"

    def collect(self) -> Iterator[Shown]:
        """Everything, for a scrape."""
        yield Shown(self._family, self._rows)

    def _rows(self) -> Iterator[Row]:
        for labels, counts in self._counts.copy().items():
            names = (labels.tenant, labels.route, labels.rule, labels.provider, labels.model)
            for value, number in counts.copy().items():
                yield (*names, value) if self._is_divided else names, number
