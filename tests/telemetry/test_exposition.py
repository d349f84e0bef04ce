"""The text of a scrape, made piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.exposition import PIECE, Exposition
from gateway.telemetry.family import Family, Kind, Row, Shown
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.wire.counts import Histogram

COUNTER = Family("things_total", Kind.COUNTER, ("tenant", "model"), "things", "What was counted,\nor \\ so.")
HISTOGRAM = Family("waits_seconds", Kind.HISTOGRAM, ("tenant", "client", "model"), "seconds", 'Of "waits".')
LEVEL = Family("level", Kind.GAUGE, (), "", "A number.")
BUILD = Family("build_info", Kind.INFO, ("version",), "", "What runs.")

ODD = 'a"b\\c\nd 订阅'


class Everything:
    """A collector of a few rows of every kind."""

    def collect(self) -> Iterator[Shown]:
        counter, histogram, level, build = (Shown(each) for each in (COUNTER, HISTOGRAM, LEVEL, BUILD))
        counter.add_metric(("acme", "large"), 7)
        counter.add_metric((ODD, ""), 0.25)
        for bounds in ((0.00001, 0.5, 2.5), ()):
            waits = Histogram(bounds)
            for size in (0.00001, 0.2, 0.25, 600.0):
                waits.add(size)
            histogram.add_metric(("acme", ODD, "large"), waits.buckets())
        level.add_metric((), 1.5)
        build.add_metric(("1.0",), 1)
        yield from (counter, histogram, level, build)


def made(
    registry: CollectorRegistry, *, is_open_metrics: bool = False, is_compressed: bool = False
) -> list[bytes]:
    """All pieces of a scrape."""
    exposition = Exposition(registry, is_open_metrics=is_open_metrics, is_compressed=is_compressed)
    pieces = []
    while not exposition.is_over:
        pieces.append(exposition.more())
    return pieces


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Everything())
    Gauge("foreign", "A metric of prometheus_client's own.", ["name"], registry=registry).labels(ODD).set(3)
    return registry


def test_it_is_what_prometheus_client_writes(registry: CollectorRegistry) -> None:
    assert b"".join(made(registry)) == generate_latest(registry)
    open_metrics = b"".join(made(registry, is_open_metrics=True))
    assert open_metrics == generate_open_metrics(registry)
    assert open_metrics.endswith(b"# EOF\n")


def test_numbers_of_any_size() -> None:
    registry = CollectorRegistry()
    waits = Histogram((1.0,))
    waits.add(1e300)
    numbers = (0, 12_345_678, 1 << 60, 1e-9, 123456789.125, True)

    class Numbers:
        def collect(self) -> Iterator[Shown]:
            counter, histogram = Shown(COUNTER), Shown(HISTOGRAM)
            for place, number in enumerate(numbers):
                counter.add_metric((str(place), ""), number)
            histogram.add_metric(("", "", ""), waits.buckets()._replace(numbers=[0, 98_765_432_100]))
            yield from (counter, histogram)

    registry.register(Numbers())
    things, seconds = parse_text(b"".join(made(registry)).decode())
    assert [sample.value for sample in things.samples] == [float(number) for number in numbers]
    assert [sample.value for sample in seconds.samples] == [0, 98_765_432_100, 98_765_432_100, 1e300]


def test_only_what_is_wanted(registry: CollectorRegistry) -> None:
    exposition = Exposition(registry, names=["things_total", "foreign"])
    text = exposition.more().decode()
    assert exposition.is_over
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == {
        "things_total",
        "foreign",
    }


def many(rows: list[int], number: int) -> CollectorRegistry:
    """A registry of so many rows; the number of each is kept when it is made."""

    def make() -> Iterator[Row]:
        for row in range(number):
            rows.append(row)
            yield (f"tenant-{row}", "large"), row

    class Many:
        def collect(self) -> Iterator[Shown]:
            yield Shown(COUNTER, make)

    registry = CollectorRegistry()
    registry.register(Many())
    return registry


def test_no_more_is_made_than_a_piece_holds() -> None:
    """Neither rows nor text of a hundred thousand series lie in memory at a time."""
    rows: list[int] = []
    exposition = Exposition(many(rows, 20_000))
    pieces = []
    while not exposition.is_over:
        before = len(rows)
        pieces.append(exposition.more())
        assert len(pieces[-1]) <= PIECE + 200
        assert len(rows) - before <= PIECE / 40
    assert len(pieces) > 3
    assert min(len(piece) for piece in pieces[:-1]) >= PIECE
    assert b"".join(pieces) == generate_latest(many([], 20_000))


def test_it_can_be_compressed() -> None:
    registry = many([], 20_000)
    whole = zlib.decompressobj(16 + zlib.MAX_WBITS)
    pieces = made(registry, is_compressed=True)
    text = b"".join(whole.decompress(piece) for piece in pieces)
    assert whole.eof
    assert whole.unused_data == b""
    assert text == generate_latest(registry)
    assert sum(map(len, pieces)) < len(text) / 5


def test_a_scrape_goes_on_beside_new_series_and_those_that_go() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    def count(number: int) -> None:
        labels = SeriesLabels(tenant="acme", route=f"route-{number}", rule="all", provider="first", model="")
        metrics.series(labels, "").finished(200, Outcome.OK, 0.5, None, 0.0001)
        metrics.attempted(labels, "ok")

    for number in range(300):
        count(number)
    exposition, text, number = Exposition(registry), b"", 300
    while not exposition.is_over:
        text += exposition.more()
        count(number)
        number += 1
    shown = {metric.name: metric.samples for metric in parse_text(text.decode())}
    assert len(shown["llmgateway_requests"]) >= 300
    assert len(shown["llmgateway_attempts"]) > 300
