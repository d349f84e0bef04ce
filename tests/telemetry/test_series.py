"""What is counted of exchanges, in how little memory."""

from __future__ import annotations

import tracemalloc

from prometheus_client import CollectorRegistry

from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import AllSeries, Series, Timings

USAGE = TokenUsage(600, 800, cached_input=100)

COUNTED_THERE = [
    tracemalloc.Filter(True, f"*/gateway/{name}.py")
    for name in ("telemetry/series", "telemetry/attempt_counts", "wire/counts")
]
"""Where memory is taken that is of interest; other threads run, too."""


def labels(number: int = 0) -> SeriesLabels:
    return SeriesLabels(tenant="acme", route=f"route-{number}", rule="all", provider="first", model="large")


def test_answers_are_counted_by_code_and_outcome() -> None:
    series = Series(Timings())
    assert series.answers() == {}
    ended = [(200, Outcome.OK)] * 3 + [
        (200, Outcome.ANSWER_CUT),
        (404, Outcome.CLIENT_ERROR),
        (201, Outcome.OK),
    ]
    for code, outcome in ended:
        series.finished(code, outcome, 0.1, None)
    assert series.answers() == {ending: ended.count(ending) for ending in ended}


def test_what_was_never_streamed_has_no_times_of_streams() -> None:
    """Two histograms of four, in memory and in every scrape."""
    counted = AllSeries()
    series = counted.of(labels(), "")
    series.finished(200, Outcome.OK, 0.1, None, 0.0001)
    shown = {metric.name: list(metric.rows()) for metric in counted.collect()}
    assert shown["llmgateway_time_to_first_token_seconds"] == []
    assert shown["llmgateway_time_per_output_token_seconds"] == []
    series.streamed(0.5, None)
    series.streamed(0.5, 0.01)
    shown = {metric.name: list(metric.rows()) for metric in counted.collect()}
    ((_, first_token),) = shown["llmgateway_time_to_first_token_seconds"]
    ((_, per_token),) = shown["llmgateway_time_per_output_token_seconds"]
    assert not isinstance(first_token, float)
    assert not isinstance(per_token, float)
    assert (first_token.numbers[-1], per_token.numbers[-1]) == (2, 1)


def held(backends: int, requests: int) -> float:
    """Bytes of memory that each of so many backends takes after so many requests."""
    names = [labels(number) for number in range(backends)]
    tracemalloc.start()
    try:
        metrics = Metrics(CollectorRegistry())
        for each in names:
            series = metrics.series(each, "web")
            for number in range(requests):
                series.finished(200, Outcome.OK, number % 70 / 7.0, USAGE, number % 50 / 5e4)
                series.streamed(number % 30 / 3.0, number % 20 / 100.0)
                series.spent(0.001, "USD")
                metrics.attempted(each, "ok")
        snapshot = tracemalloc.take_snapshot().filter_traces(COUNTED_THERE)
        return sum(trace.size for trace in snapshot.traces) / backends
    finally:
        tracemalloc.stop()


def test_a_backend_takes_as_much_memory_after_many_requests_as_after_few() -> None:
    """`docs/metrics.md` promises 3 kB: with a hundred thousand backends each of these is 100 MB."""
    few, many = held(100, 20), held(100, 600)
    assert few < 3000
    # Numbers above 256 are objects of their own.
    assert many < few + 300
