"""What a scrape gets: Prometheus' text format 0.0.4, or OpenMetrics 1.0, made piece by piece as it is sent.

prometheus_client's own writer makes a dictionary for each line and one text of them all.  A backend has some ninety
lines: with ten thousand of them that took half a minute and most of a gigabyte, and stopped everybody for a second.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as plain_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as open_metrics

from gateway.telemetry.family import Kind, Shown
from gateway.wire.counts import Buckets

PIECE = 256 * 1024
"""Characters: making so many takes the interpreter two milliseconds."""

_END = "# EOF\n"
"""Of OpenMetrics."""

_GZIP = 16 + zlib.MAX_WBITS
"""What makes zlib write gzip (RFC 1952)."""

_FASTEST = 1
"""Of zlib's levels: the lines are so alike that it leaves a twentieth of them."""


class Exposition:
    """Everything that a registry shows, at the time at which each piece of it is made."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        is_open_metrics: bool = False,
        is_compressed: bool = False,
        names: Collection[str] = (),
    ) -> None:
        """Begin.

        :param is_open_metrics: write OpenMetrics.
        :param is_compressed: with gzip.
        :param names: the metrics that are wanted, as they stand in queries; empty for all.
        """
        self.content_type = (
            open_metrics.CONTENT_TYPE_LATEST if is_open_metrics else plain_text.CONTENT_TYPE_PLAIN_0_0_4
        )
        self.is_compressed = is_compressed
        self.is_over = False
        """The last piece has been made."""
        self._texts = _texts(registry, is_open_metrics, names)
        self._compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP) if is_compressed else None

    def more(self) -> bytes:
        """Make the next piece, in any thread."""
        texts, size = [], 0
        for text in self._texts:
            texts.append(text)
            size += len(text)
            if size >= PIECE:
                break
        else:
            self.is_over = True
        piece = "".join(texts).encode()
        if self._compressor is None:
            return piece
        compressed = self._compressor.compress(piece)
        return compressed + self._compressor.flush() if self.is_over else compressed


def _texts(registry: CollectorRegistry, is_open_metrics: bool, names: Collection[str]) -> Iterator[str]:
    for metric in registry.collect():
        if names and _name(metric) not in names:
            continue
        if isinstance(metric, Shown):
            yield _head(metric, is_open_metrics)
            yield from _rows(metric)
        else:
            yield _foreign(metric, is_open_metrics)
    if is_open_metrics:
        yield _END


def _name(metric: Metric) -> str:
    """As it stands in queries."""
    if isinstance(metric, Shown):
        return metric.family.name
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


class _Alone(CollectorRegistry):
    """A registry of one metric."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        """That metric."""
        return (self._metric,)


def _foreign(metric: Metric, is_open_metrics: bool) -> str:
    """A metric of prometheus_client's own: of the process, of Python."""
    write = open_metrics.generate_latest if is_open_metrics else plain_text.generate_latest
    return write(_Alone(metric)).decode().removesuffix(_END)


def _head(metric: Shown, is_open_metrics: bool) -> str:
    family = metric.family
    meaning = family.meaning.replace("\\", r"\\").replace("\n", r"\n")
    if is_open_metrics:
        name, kind, meaning = family.base, family.kind, meaning.replace('"', r"\"")
    else:
        name, kind = family.name, Kind.GAUGE if family.kind is Kind.INFO else family.kind
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind.value}\n"


def _rows(metric: Shown) -> Iterator[str]:
    """The lines of each row; labels are in the order of the alphabet, as prometheus_client has them."""
    name, labels = metric.family.name, metric.family.labels
    order = sorted(range(len(labels)), key=labels.__getitem__)
    smaller = sum(label < "le" for label in labels)
    pairs = [f'{labels[place]}="%s"' for place in order]
    whole = f"{{{','.join(pairs)}}}" if pairs else ""
    head = f'{name}_bucket{{{"".join(f"{pair}," for pair in pairs[:smaller])}le="'
    tail = f'"{"".join(f",{pair}" for pair in pairs[smaller:])}}}'
    for values, counted in metric.rows():
        texts = tuple([_escaped(values[place]) for place in order])
        if isinstance(counted, Buckets):
            before, after, ours = head % texts[:smaller], tail % texts[smaller:], whole % texts
            bounds, numbers = _written(counted.bounds), counted.numbers
            buckets = [
                f"{before}{bound}{after} {number}.0\n" for bound, number in zip(bounds, numbers, strict=True)
            ]
            total = f"{name}_count{ours} {numbers[-1]}.0\n{name}_sum{ours} {float(counted.sum)!r}\n"
            yield f"{''.join(buckets)}{total}"
        else:
            yield f"{name}{whole % texts} {float(counted)!r}\n"


@lru_cache
def _written(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """Bounds as values of the label `le`."""
    return (*map(str, bounds), "+Inf")


@lru_cache(maxsize=4096)
def _escaped(value: str) -> str:
    """A label's value, as it stands between quotes; most stand in many lines."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
