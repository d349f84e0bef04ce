"""Every metric of the gateway's own: its name, type, labels, unit and meaning.

`docs/metrics.md` shows this table, and a test keeps the two alike.  Names and labels are a promise to
dashboards: they are not changed, only added to.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen
from prometheus_client import metrics_core

BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Upper bounds of the duration histogram, in seconds: refusals take a millisecond, long answers minutes."""

BUCKET_NAMES = (*map(str, BUCKETS), "+Inf")
"""The bounds as `le` shows them."""


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


SERIES_LABELS = ("tenant", "client", "route", "rule", "provider", "model")
"""Who asked, and who answered; all by the names that configuration gives them."""

REQUESTS = Family(
    "llmgateway_requests_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "code", "outcome"),
    "requests",
    "Finished exchanges, by the HTTP status that the client saw (499 where it left) and how they ended.",
)
DURATION = Family(
    "llmgateway_request_duration_seconds",
    Kind.HISTOGRAM,
    SERIES_LABELS,
    "seconds",
    "From the end of a request's head to the end of its answer.",
)
TOKENS = Family(
    "llmgateway_tokens_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "type"),
    "tokens",
    "Tokens that providers say they have counted; type is input or output.",
)
ATTEMPT_LABELS = ("tenant", "route", "rule", "provider", "model")
"""Who was asked for an answer, whoever gave it in the end."""

ATTEMPTS = Family(
    "llmgateway_attempts_total",
    Kind.COUNTER,
    (*ATTEMPT_LABELS, "outcome"),
    "attempts",
    "Attempts at providers that have ended, several for a request that was tried again or elsewhere; a provider that "
    "was passed over has outcome open.",
)
HEDGES = Family(
    "llmgateway_hedges_total",
    Kind.COUNTER,
    (*ATTEMPT_LABELS, "result"),
    "attempts",
    "Second attempts that were made beside a slow one; result is won where it was the faster one, else lost.",
)
CONTINUATIONS = Family(
    "llmgateway_stream_continuations_total",
    Kind.COUNTER,
    (*ATTEMPT_LABELS, "way"),
    "attempts",
    "Attempts for the rest of a stream that broke; way is prefill or from_start.",
)
MIRRORED = Family(
    "llmgateway_mirrored_requests_total",
    Kind.COUNTER,
    (*ATTEMPT_LABELS, "outcome"),
    "requests",
    "Copies of requests, by the backend they went to; outcome is that of an attempt, or skipped where too many were "
    "under way.",
)
IN_FLIGHT = Family(
    "llmgateway_requests_in_flight", Kind.GAUGE, (), "requests", "Exchanges that have begun and not ended."
)
UPSTREAM_CONNECTIONS = Family(
    "llmgateway_upstream_connections",
    Kind.GAUGE,
    ("tenant", "provider", "state"),
    "connections",
    "Connections to providers: active, idle, or pending, which is who waits for one.  Tenant is whose provider it is.",
)
BREAKER_STATE = Family(
    "llmgateway_breaker_state",
    Kind.GAUGE,
    ("tenant", "provider", "key"),
    "",
    "0 where requests pass, 2 where the provider is left alone for a while, 1 while one request tries it again. "
    "Tenant is whose provider it is.",
)
KEY_USABLE = Family(
    "llmgateway_key_usable",
    Kind.GAUGE,
    ("tenant", "provider", "key"),
    "",
    "0 where the provider has refused the key, or has said that it is at its limit for now; else 1.",
)
HEALTH_CHECKS = Family(
    "llmgateway_health_checks_total",
    Kind.COUNTER,
    ("tenant", "provider", "result"),
    "checks",
    "Health checks that have ended; result is success, failure or refused.  Tenant is whose provider it is.",
)
RELOAD_SUCCESSFUL = Family(
    "llmgateway_config_last_reload_successful",
    Kind.GAUGE,
    ("tenant",),
    "",
    "1 where the tenant runs on its files as they are, 0 where on its last good tables or on none.  "
    "Tenant is empty for the Gateway document.",
)
RELOAD_TIMESTAMP = Family(
    "llmgateway_config_last_reload_timestamp_seconds",
    Kind.GAUGE,
    ("tenant",),
    "seconds",
    "Unix time at which what the tenant runs on was applied; without one where it runs on nothing.",
)
RELOADS = Family(
    "llmgateway_config_reloads_total",
    Kind.COUNTER,
    ("result",),
    "reloads",
    "Changes of the configuration; result is applied, partly_applied or rejected.",
)
PROBLEMS = Family(
    "llmgateway_config_problems",
    Kind.GAUGE,
    ("tenant", "severity"),
    "problems",
    "Problems in the tenant's files as they are; severity is error or warning.  Tenant is empty for the "
    "Gateway document and for what is no tenant's.  `/config` names them.",
)
LINES_DROPPED = Family(
    "llmgateway_access_log_lines_dropped_total",
    Kind.COUNTER,
    (),
    "lines",
    "Lines of the access log that could not be written: a full disk, a closed or stalled pipe.",
)
BUILD = Family(
    "llmgateway_build_info",
    Kind.INFO,
    ("version", "python", "twisted"),
    "",
    "Always 1; the labels tell what is running.",
)

FAMILIES = (
    *(REQUESTS, DURATION, TOKENS, ATTEMPTS, HEDGES, CONTINUATIONS, MIRRORED),
    *(IN_FLIGHT, UPSTREAM_CONNECTIONS, BREAKER_STATE, KEY_USABLE, HEALTH_CHECKS),
    *(RELOAD_SUCCESSFUL, RELOAD_TIMESTAMP, RELOADS, PROBLEMS, LINES_DROPPED, BUILD),
)
