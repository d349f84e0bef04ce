"""What a scrape shows of what was counted."""

from __future__ import annotations

import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import twisted
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway import __version__
from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.discarded_counts import Discarded
from gateway.telemetry.families import BUCKETS, FAMILIES
from gateway.telemetry.family import Kind
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import CheckResult, Outcome
from gateway.telemetry.reloads import ReloadResult, TenantConfiguration
from gateway.telemetry.series import NO_ROUTE
from gateway.telemetry.sources import Sources
from gateway.wire.counts import HandshakeResult, ListenerCounts, PoolCounts

VIP = SeriesLabels(
    tenant="acme", route="demo", rule="vip-route", provider="dashscope-qwen", model="qwen-turbo"
)
VIP_VALUES = {
    "tenant": "acme",
    "client": "ci",
    "route": "demo",
    "rule": "vip-route",
    "provider": "dashscope-qwen",
    "model": "qwen-turbo",
}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_a_finished_exchange_is_counted(registry: CollectorRegistry, metrics: Metrics) -> None:
    series = metrics.series(VIP, "ci")
    series.finished(200, Outcome.OK, 0.8, TokenUsage(input=20, output=100))
    series.finished(200, Outcome.OK, 1.2, TokenUsage(input=1, output=2))
    series.finished(499, Outcome.CLIENT_LEFT, 0.1, None)
    name = "llmgateway_requests_total"
    assert value(registry, name, **VIP_VALUES, code="200", outcome="ok") == 2
    assert value(registry, name, **VIP_VALUES, code="499", outcome="client_left") == 1
    assert value(registry, "llmgateway_tokens_total", **VIP_VALUES, type="input") == 21
    assert value(registry, "llmgateway_tokens_total", **VIP_VALUES, type="output") == 102
    assert value(registry, "llmgateway_request_duration_seconds_count", **VIP_VALUES) == 3
    total = value(registry, "llmgateway_request_duration_seconds_sum", **VIP_VALUES)
    assert total == pytest.approx(2.1)


def test_parts_of_tokens_and_what_was_estimated(registry: CollectorRegistry, metrics: Metrics) -> None:
    series = metrics.series(VIP, "ci")
    series.finished(200, Outcome.OK, 0.8, TokenUsage(20, 100, cached_input=5, reasoning=60))
    series.finished(499, Outcome.CLIENT_LEFT, 0.8, TokenUsage(1, 2, estimated=True))
    name, estimated = "llmgateway_tokens_total", "llmgateway_tokens_estimated_total"
    kinds = ("input", "output", "cached_input", "reasoning")
    assert [value(registry, name, **VIP_VALUES, type=kind) for kind in kinds] == [21, 102, 5, 60]
    assert [value(registry, estimated, **VIP_VALUES, type=kind) for kind in kinds[:2]] == [1, 2]


def test_what_answers_cost(registry: CollectorRegistry, metrics: Metrics) -> None:
    for cost, currency in ((0.5, "USD"), (0.25, "USD"), (2.0, "CNY")):
        metrics.series(VIP, "ci").spent(cost, currency)
    assert value(registry, "llmgateway_cost_total", **VIP_VALUES, currency="USD") == 0.75
    assert value(registry, "llmgateway_cost_total", **VIP_VALUES, currency="CNY") == 2.0


def test_times_are_those_of_all_clients(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.series(VIP, "ci").finished(200, Outcome.OK, 0.8, None, 0.000015)
    metrics.series(VIP, "batch").finished(200, Outcome.OK, 0.8, None, 0.00008)
    metrics.series(VIP, "batch").finished(200, Outcome.OK, 0.8, None)
    metrics.series(VIP, "batch").streamed(0.3, None)
    backend = {name: text for name, text in VIP_VALUES.items() if name != "client"}
    overhead = "llmgateway_overhead_seconds"
    buckets = [value(registry, f"{overhead}_bucket", **backend, le=le) for le in ("1e-05", "2e-05", "0.0001")]
    assert buckets == [0, 1, 2]
    assert value(registry, f"{overhead}_count", **backend) == 2
    assert value(registry, "llmgateway_time_to_first_token_seconds_sum", **backend) == 0.3
    assert value(registry, "llmgateway_time_per_output_token_seconds_count", **backend) is None


def test_labels_that_are_equal_share_a_series(metrics: Metrics) -> None:
    again = SeriesLabels(
        tenant="acme", route="demo", rule="vip-route", provider="dashscope-qwen", model="qwen-turbo"
    )
    assert metrics.series(VIP, "ci") is metrics.series(again, "ci")
    assert metrics.series(VIP, "ci") is not metrics.series(VIP, "batch")
    assert metrics.series(VIP, "ci") is not metrics.series(NO_ROUTE, "ci")


def test_a_request_without_a_route_is_counted_too(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.series(NO_ROUTE, "").finished(404, Outcome.CLIENT_ERROR, 0.0, None)
    empty = dict.fromkeys(VIP_VALUES, "")
    name = "llmgateway_requests_total"
    assert value(registry, name, **empty, code="404", outcome="client_error") == 1


@pytest.mark.parametrize(("index", "bound"), list(enumerate(BUCKETS)))
def test_a_bound_belongs_to_its_bucket(
    registry: CollectorRegistry, metrics: Metrics, index: int, bound: float
) -> None:
    metrics.series(VIP, "ci").finished(200, Outcome.OK, bound, None)
    name = "llmgateway_request_duration_seconds_bucket"
    counts = [value(registry, name, **VIP_VALUES, le=le) for le in (*map(str, BUCKETS), "+Inf")]
    assert counts == [0] * index + [1] * (len(BUCKETS) + 1 - index)


def test_longer_than_every_bound(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.series(VIP, "ci").finished(200, Outcome.OK, 601.0, None)
    name = "llmgateway_request_duration_seconds_bucket"
    assert value(registry, name, **VIP_VALUES, le="600.0") == 0
    assert value(registry, name, **VIP_VALUES, le="+Inf") == 1


def test_the_histogram_reaches_from_a_millisecond_to_ten_minutes() -> None:
    assert BUCKETS[0] == 0.001
    assert BUCKETS[-1] == 600.0
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_gauges_are_read_when_scraped() -> None:
    registry = CollectorRegistry()
    states = {("acme", "a", "idle"): 1}
    dropped = [0]
    metrics = Metrics(
        registry, Sources(upstream_connections=lambda: states, lines_dropped=lambda: dropped[0])
    )
    metrics.in_flight += 2
    states["acme", "b", "active"] = 3
    dropped[0] = 4
    assert value(registry, "llmgateway_requests_in_flight") == 2
    assert value(registry, "llmgateway_upstream_connections", tenant="acme", provider="a", state="idle") == 1
    assert (
        value(registry, "llmgateway_upstream_connections", tenant="acme", provider="b", state="active") == 3
    )
    assert value(registry, "llmgateway_access_log_lines_dropped_total") == 4


def test_what_others_count_is_asked_when_scraped() -> None:
    registry = CollectorRegistry()
    sources = Sources(
        held_bodies=lambda: 70_000,
        certificates=lambda: {"/tls/server.pem": 1.8e9},
        client_certificates=lambda: {("acme", "secured"): 1.9e9},
        own_lines_dropped=lambda: 6,
        captured_lines_dropped=lambda: 2,
        spans_exported=lambda: 5,
        spans_lost=lambda: 3,
        admin_refusals=lambda: {"wrong_token": 7, "no_token": 0},
    )
    Metrics(registry, sources)
    assert value(registry, "llmgateway_held_request_bytes") == 70_000
    expiry = "llmgateway_certificate_expiry_timestamp_seconds"
    assert value(registry, expiry, file="/tls/server.pem") == 1.8e9
    expiry = "llmgateway_client_certificate_expiry_timestamp_seconds"
    assert value(registry, expiry, tenant="acme", provider="secured") == 1.9e9
    assert value(registry, "llmgateway_log_lines_dropped_total") == 6
    assert value(registry, "llmgateway_capture_log_lines_dropped_total") == 2
    assert value(registry, "llmgateway_spans_exported_total") == 5
    assert value(registry, "llmgateway_spans_lost_total") == 3
    assert value(registry, "llmgateway_admin_refusals_total", reason="wrong_token") == 7
    assert value(registry, "llmgateway_admin_refusals_total", reason="no_token") == 0


def test_health_checks_are_counted_by_result(registry: CollectorRegistry, metrics: Metrics) -> None:
    for result in (CheckResult.SUCCESS, CheckResult.FAILURE, CheckResult.SUCCESS):
        metrics.health_checked(("acme", "a"), result)
    name, labels = "llmgateway_health_checks_total", {"tenant": "acme", "provider": "a"}
    assert value(registry, name, **labels, result="success") == 2
    assert value(registry, name, **labels, result="failure") == 1
    assert value(registry, name, **labels, result="refused") is None


def test_how_the_configuration_stands(registry: CollectorRegistry, metrics: Metrics) -> None:
    assert value(registry, "llmgateway_config_reloads_total", result="rejected") == 0
    acme = TenantConfiguration("acme", successful=False, applied_at=1_700_000_000.5, errors=2, warnings=1)
    other = TenantConfiguration("other", successful=True, applied_at=1_700_000_001.0, errors=0, warnings=0)
    metrics.reloaded(ReloadResult.PARTLY_APPLIED, [acme, other])
    assert value(registry, "llmgateway_config_last_reload_successful", tenant="acme") == 0
    assert value(registry, "llmgateway_config_last_reload_successful", tenant="other") == 1
    name = "llmgateway_config_last_reload_timestamp_seconds"
    assert value(registry, name, tenant="acme") == 1_700_000_000.5
    assert value(registry, "llmgateway_config_problems", tenant="acme", severity="error") == 2
    assert value(registry, "llmgateway_config_problems", tenant="acme", severity="warning") == 1
    assert value(registry, "llmgateway_config_reloads_total", result="partly_applied") == 1
    assert value(registry, "llmgateway_config_reloads_total", result="applied") == 0


def test_a_tenant_that_runs_on_nothing_has_no_time(registry: CollectorRegistry, metrics: Metrics) -> None:
    acme = TenantConfiguration("acme", successful=False, applied_at=None, errors=1, warnings=0)
    metrics.reloaded(ReloadResult.REJECTED, [acme])
    assert value(registry, "llmgateway_config_last_reload_timestamp_seconds", tenant="acme") is None
    assert value(registry, "llmgateway_config_last_reload_successful", tenant="acme") == 0


def test_a_tenant_that_is_gone_is_no_longer_shown(registry: CollectorRegistry, metrics: Metrics) -> None:
    acme = TenantConfiguration("acme", successful=True, applied_at=1.0, errors=0, warnings=0)
    metrics.reloaded(ReloadResult.APPLIED, [acme])
    metrics.reloaded(ReloadResult.APPLIED, [])
    assert value(registry, "llmgateway_config_last_reload_successful", tenant="acme") is None


def test_build_and_process(registry: CollectorRegistry, metrics: Metrics) -> None:
    versions = {
        "version": __version__,
        "python": platform.python_version(),
        "twisted": twisted.__version__,
    }
    assert value(registry, "llmgateway_build_info", **versions) == 1
    assert b"process_resident_memory_bytes" in generate_latest(registry)
    assert b"python_info" in generate_latest(registry)


def filled(registry: CollectorRegistry) -> None:
    """Give every family a sample."""
    standing = KeyStanding("acme", "a", "main", BreakerStanding.OPEN, is_usable=True)
    sources = Sources(
        upstream_connections=lambda: {("acme", "a", "idle"): 1},
        pools={("acme", "a"): PoolCounts()},
        downstream_connections=lambda: [ListenerCounts("egress", opened=3, active=1, idle=1)],
        handshakes=lambda: {("upstream", HandshakeResult.OK): 1},
        certificates=lambda: {"/tls/server.pem": 1.8e9},
        client_certificates=lambda: {("acme", "a"): 1.9e9},
        keys=lambda: [standing],
        admin_refusals=lambda: {"no_token": 1},
    )
    metrics = Metrics(registry, sources)
    series = metrics.series(VIP, "ci")
    series.finished(200, Outcome.OK, 0.8, TokenUsage(input=20, output=100), 0.0001)
    series.streamed(0.5, 0.01)
    series.spent(0.25, "USD")
    metrics.attempted(VIP, "ok")
    metrics.retried(VIP)
    metrics.fell_back(VIP)
    metrics.hedged(VIP, won=True)
    metrics.mirrored(VIP, "ok")
    metrics.discarded(VIP, "ci", Discarded.HEDGE, TokenUsage(input=20, output=1), 0.01, "USD")
    metrics.continued(VIP, "prefill")
    metrics.health_checked(("acme", "a"), CheckResult.SUCCESS)
    acme = TenantConfiguration("acme", successful=True, applied_at=1.0, errors=0, warnings=0)
    metrics.reloaded(ReloadResult.APPLIED, [acme])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_is_shown_as_its_row_says(registry: CollectorRegistry, family: object) -> None:
    filled(registry)
    shown = {
        metric.name: (metric.type, {frozenset(sample.labels) - {"le"} for sample in metric.samples})
        for metric in registry.collect()
    }
    for row in FAMILIES:
        if row is family:
            name = row.name
            if row.kind is Kind.COUNTER:
                name = name.removesuffix("_total")
            if row.kind is Kind.INFO:
                name = name.removesuffix("_info")
            assert shown[name] == (row.kind.value, {frozenset(row.labels)})


def test_no_family_is_shown_without_a_row(registry: CollectorRegistry) -> None:
    filled(registry)
    shown = {line.split()[2] for line in generate_latest(registry).decode().splitlines() if "# TYPE" in line}
    ours = {name for name in shown if name.startswith("llmgateway_")}
    assert ours == {family.name for family in FAMILIES}


def test_both_formats_can_be_parsed(registry: CollectorRegistry) -> None:
    filled(registry)
    text = {metric.name for metric in parse_text(generate_latest(registry).decode())}
    open_metrics = {metric.name for metric in parse_open_metrics(generate_open_metrics(registry).decode())}
    assert "llmgateway_requests" in text & open_metrics


def test_a_configured_name_may_hold_anything(registry: CollectorRegistry, metrics: Metrics) -> None:
    odd = 'a"b\\c\nd 订阅'
    labels = SeriesLabels(tenant=odd, route="", rule="", provider="", model="")
    metrics.series(labels, "").finished(200, Outcome.OK, 0.8, None)
    for parsed in (
        parse_text(generate_latest(registry).decode()),
        parse_open_metrics(generate_open_metrics(registry).decode()),
    ):
        samples = [sample for metric in parsed for sample in metric.samples]
        assert odd in {sample.labels.get("tenant") for sample in samples}


def test_series_that_begin_while_another_thread_scrapes(metrics: Metrics) -> None:
    def scrape() -> None:
        while not done.is_set():
            for _ in metrics.collect():
                pass

    done = Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            scraping = pool.submit(scrape)
            for number in range(2000):
                metrics.series(VIP, f"client-{number}").finished(200, Outcome.OK, 0.8, None)
            done.set()
            scraping.result()
    finally:
        done.set()
        sys.setswitchinterval(interval)
