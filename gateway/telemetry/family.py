"""What a metric is: a name, a type, labels, a unit and a meaning; and what was counted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TypeAlias

from attrs import frozen
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from gateway.wire.counts import Buckets


class Kind(Enum):
    """A metric's type, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


_SUFFIXES = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


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

    @property
    def base(self) -> str:
        """The name as OpenMetrics and prometheus_client have it."""
        return self.name.removesuffix(_SUFFIXES.get(self.kind, ""))


Row: TypeAlias = tuple[Sequence[str], "float | Buckets"]
"""The values of the labels, in their order, and what was counted for them: buckets for a histogram, else a number."""


class Shown(Metric):
    """A metric and its rows: for `exposition.py`, which writes them one by one, and for prometheus_client."""

    def __init__(self, family: Family, rows: Callable[[], Iterable[Row]] | None = None) -> None:
        """Show it.

        :param rows: makes them, one by one: there may be a hundred thousand.  None where few will be added.
        """
        self.family = family
        self._added: list[Row] = []
        self.rows = self._added.__iter__ if rows is None else rows
        self.name, self.documentation = family.base, family.meaning
        self.type, self.unit = family.kind.value, ""

    def add_metric(self, values: Sequence[str], counted: float | Buckets) -> None:
        """Add a row."""
        self._added.append((values, counted))

    @property
    def samples(self) -> list[Sample]:  # type: ignore[override]  # made for who asks, and nobody may set them
        """All of it at once, as prometheus_client wants it."""
        name, labels = self.family.name, self.family.labels
        samples = []
        for values, counted in self.rows():
            named = dict(zip(labels, values, strict=True))
            if isinstance(counted, Buckets):
                bounds = (*map(str, counted.bounds), "+Inf")
                for bound, number in zip(bounds, counted.numbers, strict=True):
                    samples.append(Sample(f"{name}_bucket", {**named, "le": bound}, number))
                samples.append(Sample(f"{name}_count", named, counted.numbers[-1]))
                samples.append(Sample(f"{name}_sum", named, counted.sum))
            else:
                samples.append(Sample(name, named, counted))
        return samples
