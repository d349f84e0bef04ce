"""What a metric is: a name, a type, labels, a unit and a meaning.  And the bounds of histograms."""

from __future__ import annotations

from enum import Enum

from attrs import frozen
from prometheus_client import metrics_core

from gateway.wire.counts import Buckets


class Kind(Enum):
    """A metric's type, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@frozen
class Family:
    """One metric, whatever its label values."""

    name: str
    """As it stands in queries; a histogram's without `_bucket`, `_sum` and `_count`."""
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    """What one of it is; empty for a flag."""
    meaning: str

    def counter(self) -> metrics_core.CounterMetricFamily:
        """A counter without samples."""
        return metrics_core.CounterMetricFamily(self.name, self.meaning, labels=self.labels)

    def gauge(self) -> metrics_core.GaugeMetricFamily:
        """A gauge without samples."""
        return metrics_core.GaugeMetricFamily(self.name, self.meaning, labels=self.labels)

    def histogram(self) -> metrics_core.HistogramMetricFamily:
        """A histogram without samples."""
        return metrics_core.HistogramMetricFamily(self.name, self.meaning, labels=self.labels)

    def info(self) -> metrics_core.InfoMetricFamily:
        """An info without samples: its labels are the information, its value is 1."""
        return metrics_core.InfoMetricFamily(self.name.removesuffix("_info"), self.meaning)


def add_histogram(
    family: metrics_core.HistogramMetricFamily,
    labels: tuple[str, ...],
    bounds: tuple[float, ...],
    buckets: Buckets,
) -> None:
    """Show what was counted."""
    names = (*map(str, bounds), "+Inf")
    family.add_metric(labels, list(zip(names, buckets.numbers, strict=True)), buckets.sum)
