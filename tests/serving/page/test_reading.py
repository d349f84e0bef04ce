"""What was counted up to one moment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.messages import TokenUsage
from gateway.serving.page.counts import total
from gateway.serving.page.reading import Reading, read
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import NO_ROUTE
from gateway.telemetry.sources import Sources
from gateway.wire.counts import Histogram

VIP = SeriesLabels(tenant="acme", route="chat", rule="vip", provider="first", model="large")


def counted() -> Metrics:
    metrics = Metrics(CollectorRegistry())
    for client in ("web", "ci"):
        series = metrics.series(VIP, client)
        for _ in range(3):
            series.finished(200, Outcome.OK, 1.5, TokenUsage(100, 10), overhead=0.0001)
        series.streamed(0.2, None)
        series.spent(0.5, "USD")
    metrics.series(VIP, "web").finished(502, Outcome.PROVIDER_FAILED, 1.5, None)
    metrics.series(VIP, "web").finished(499, Outcome.CLIENT_LEFT, 1.5, None)
    metrics.series(NO_ROUTE, "").finished(401, Outcome.CLIENT_ERROR, 0.001, None)
    metrics.attempted(VIP, "ok")
    metrics.attempted(VIP, "status")
    return metrics


def reading(metrics: Metrics, last: Reading | None = None) -> Reading:
    return read(metrics, Sources(), 1.0, 2.0, last)


def test_clients_are_counted_together_and_backends_apart() -> None:
    now = reading(counted())
    assert set(now.backends) == {VIP, NO_ROUTE}
    vip = total([now.backends[VIP]])
    assert (vip.requests, vip.failed, vip.refused) == (8, 1, 1)
    assert (vip.input_tokens, vip.output_tokens, vip.costs) == (600, 60, {"USD": 1.0})
    assert vip.attempts == {"ok": 1, "status": 1}
    assert vip.duration.numbers[-1] == 8
    assert (vip.first_token.numbers[-1], vip.overhead.numbers[-1]) == (2, 6)
    assert 1.0 < (vip.duration.quantile(0.5) or 0.0) <= 2.5


def test_the_whole_is_the_sum() -> None:
    now = reading(counted())
    whole = total([now.whole])
    assert (whole.requests, whole.failed, whole.refused) == (9, 1, 2)
    assert (whole.duration.numbers[-1], whole.overhead.numbers[-1], whole.costs) == (9, 6, {"USD": 1.0})
    assert (now.at, now.time) == (1.0, 2.0)
    assert now.memory > 1e6
    assert now.started > 1e9


def test_what_has_not_changed_is_not_counted_anew() -> None:
    metrics = counted()
    before = reading(metrics)
    metrics.series(NO_ROUTE, "").finished(401, Outcome.CLIENT_ERROR, 0.001, None)
    now = reading(metrics, before)
    assert now.backends[VIP] is before.backends[VIP]
    assert total([now.backends[NO_ROUTE]]).requests == 2
    metrics.attempted(VIP, "ok")
    assert total([reading(metrics, now).backends[VIP]]).attempts == {"ok": 2, "status": 1}


def test_tokens_are_counted_when_an_exchange_ends_that_others_go_on_with() -> None:
    metrics = counted()
    metrics.attempted(VIP, "cut")
    before = reading(metrics)
    series = metrics.series(VIP, "web")
    series.used(TokenUsage(9, 5))
    series.spent(0.25, "USD")
    vip = total([reading(metrics, before).backends[VIP]])
    assert (vip.input_tokens, vip.output_tokens, vip.costs) == (609, 65, {"USD": 1.25})


def test_a_backend_that_was_only_tried() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.attempted(VIP, "unreachable")
    first = reading(metrics)
    assert total([first.backends[VIP]]).attempts == {"unreachable": 1}
    assert reading(metrics, first).backends[VIP] is first.backends[VIP]


def test_what_failed_with_a_status_says_which() -> None:
    metrics = Metrics(CollectorRegistry())
    for status in (401, 401, 503, 400, 422, 418):
        metrics.attempted(VIP, "status")
        metrics.failed_with(VIP, status)
    for outcome in ("ok", "cut", "cancelled", "open"):
        metrics.attempted(VIP, outcome)
    vip = total([reading(metrics).backends[VIP]])
    assert vip.made == 8
    # A provider that blames the request is not to blame itself, one that refuses our key is.
    assert vip.faults == {"status 401": 2, "status 503": 1, "cut": 1, "status": 1}


def test_what_a_provider_blames_on_the_request_has_not_failed() -> None:
    metrics = Metrics(CollectorRegistry())
    series = metrics.series(VIP, "")
    for code in (400, 404, 413, 422, 401, 403, 429, 500):
        series.finished(code, Outcome.PROVIDER_ERROR, 0.1, None)
    series.finished(200, Outcome.ANSWER_CUT, 0.1, None)
    whole = total([reading(metrics).whole])
    assert (whole.requests, whole.refused, whole.failed) == (9, 4, 5)


def test_how_things_stand() -> None:
    lag = Histogram((0.1, 1.0))
    lag.add(0.5)
    sources = Sources(
        upstream_connections=lambda: {("acme", "first", "idle"): 2},
        lines_dropped=lambda: 3,
        own_lines_dropped=lambda: 6,
        captured_lines_dropped=lambda: 4,
        spans_lost=lambda: 5,
        loop_lag=lag,
    )
    metrics = Metrics(CollectorRegistry())
    metrics.in_flight = 7
    now = read(metrics, sources, 1.0, 2.0, None)
    assert (now.in_flight, now.lines_dropped) == (7, 3)
    assert (now.own_lines_dropped, now.captured_lines_dropped, now.spans_lost) == (6, 4, 5)
    assert now.connections == {("acme", "first", "idle"): 2}
    assert now.lag.numbers == [0, 1, 1]
