"""What is counted of attempts, by the backend that was asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.family import Family
from gateway.telemetry.names import ConfiguredNames, Lingering


class AttemptCounts:
    """One counter of attempts."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._counts: dict[SeriesLabels, dict[str, int]] = {}
        self._lingering: Lingering[SeriesLabels] = Lingering()
        self._is_divided = family.labels[-1] != "model"

    def add(self, labels: SeriesLabels, value: str = "") -> None:
        """Count one.

        :param value: of the counter's last label, where it has one beside those of the backend.
        """
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = {}
        counts[value] = counts.get(value, 0) + 1

    def copied(self) -> dict[SeriesLabels, dict[str, int]]:
        """All of it, by backend.  May be asked in any thread."""
        return {labels: counts.copy() for labels, counts in self._counts.copy().items()}

    def forget_removed(self, names: ConfiguredNames, now: float) -> None:
        """Let go of backends that have been gone from the configuration for long enough."""
        self._lingering.forget(self._counts, names.labels.__contains__, now)

    def collect(self) -> Iterator[Metric]:
        """Everything, as prometheus_client wants it."""
        counter = self._family.counter()
        for labels, counts in self._counts.copy().items():
            names = (labels.tenant, labels.route, labels.rule, labels.provider, labels.model)
            for value, number in counts.copy().items():
                counter.add_metric((*names, value) if self._is_divided else names, number)
        yield counter
