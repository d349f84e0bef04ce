"""Every metric of the gateway's own: its name, type, labels, unit and meaning.

`docs/metrics.md` shows this table, and a test keeps the two alike.  Names and labels are a promise to
dashboards: they are not changed, only added to.
"""

from __future__ import annotations

from gateway.telemetry.family import Family, Kind

BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Upper bounds of the duration histogram, in seconds: refusals take a millisecond, long answers minutes."""

OVERHEAD_BUCKETS = (
    *(0.00001, 0.00002, 0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005),
    *(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 60.0, 600.0),
)
"""Of the gateway's own work: a small request takes a tenth of a millisecond, one of many megabytes a hundred times
that, and a long stream adds up to more."""

FIRST_TOKEN_BUCKETS = BUCKETS
"""Reasoning models think for minutes before their first word."""

PER_TOKEN_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0),
)
"""Twenty to two hundred tokens a second is what providers do; some do a thousand."""

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
    "Tokens of answers, as providers have counted them, else estimated; type is input or output, and for parts of "
    "these, not to be added, cached_input (what the provider had read before) or reasoning.",
)
TOKENS_ESTIMATED = Family(
    "llmgateway_tokens_estimated_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "type"),
    "tokens",
    "The part of `llmgateway_tokens_total` that no provider has counted; type is input or output.",
)
COST = Family(
    "llmgateway_cost_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "currency"),
    "of the currency",
    "What answers have cost by the prices of their models; nothing where a model has no price.",
)
DISCARDED_TOKENS = Family(
    "llmgateway_discarded_tokens_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "reason", "type", "estimated"),
    "tokens",
    "Tokens of attempts that no client got anything of, none of them in `llmgateway_tokens_total`; reason is left, "
    "failed, hedge, continuation or mirror, type is input or output.",
)
DISCARDED_COST = Family(
    "llmgateway_discarded_cost_total",
    Kind.COUNTER,
    (*SERIES_LABELS, "reason", "currency"),
    "of the currency",
    "What those have cost, or may have; nothing where a model has no price.",
)
REQUEST_BYTES = Family(
    "llmgateway_request_bytes_total",
    Kind.COUNTER,
    SERIES_LABELS,
    "bytes",
    "Of bodies that clients have sent.",
)
RESPONSE_BYTES = Family(
    "llmgateway_response_bytes_total",
    Kind.COUNTER,
    SERIES_LABELS,
    "bytes",
    "Of bodies that clients were sent.",
)
ATTEMPT_LABELS = ("tenant", "route", "rule", "provider", "model")
"""Who was asked for an answer, whoever gave it in the end."""

OVERHEAD = Family(
    "llmgateway_overhead_seconds",
    Kind.HISTOGRAM,
    ATTEMPT_LABELS,
    "seconds",
    "What the gateway itself worked on an exchange, without waiting for the client, the provider or a connection.",
)
TIME_TO_FIRST_TOKEN = Family(
    "llmgateway_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    ATTEMPT_LABELS,
    "seconds",
    "From the end of a request's head to the first content of its streamed answer, failed attempts included.",
)
TIME_PER_OUTPUT_TOKEN = Family(
    "llmgateway_time_per_output_token_seconds",
    Kind.HISTOGRAM,
    ATTEMPT_LABELS,
    "seconds",
    "Of a streamed answer that is whole and whose tokens were counted: from its first content to its end, by each "
    "output token after the first.",
)

ATTEMPTS = Family(
    "llmgateway_attempts_total",
    Kind.COUNTER,
    (*ATTEMPT_LABELS, "outcome"),
    "attempts",
    "Attempts at providers that have ended, several for a request that was tried again or elsewhere; a provider that "
    "was passed over has outcome open.",
)
RETRIES = Family(
    "llmgateway_retries_total",
    Kind.COUNTER,
    ATTEMPT_LABELS,
    "attempts",
    "Attempts at a provider that was asked for the same answer before, by the provider asked again.",
)
FALLBACKS = Family(
    "llmgateway_fallbacks_total",
    Kind.COUNTER,
    ATTEMPT_LABELS,
    "attempts",
    "Attempts at another provider because the one before did not answer or was passed over, by the provider turned to.",
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
HELD_BODY_BYTES = Family(
    "llmgateway_held_request_bytes",
    Kind.GAUGE,
    (),
    "bytes",
    "What is held of requests' bodies of more than 64 KiB, until their answers have ended; limits.allBodiesBytes is "
    "the most.",
)
UPSTREAM_CONNECTIONS = Family(
    "llmgateway_upstream_connections",
    Kind.GAUGE,
    ("tenant", "provider", "state"),
    "connections",
    "Connections to providers: active, idle, or pending, which is who waits for one.  Tenant is whose provider it is.",
)
UPSTREAM_OPENED = Family(
    "llmgateway_upstream_connections_opened_total",
    Kind.COUNTER,
    ("tenant", "provider"),
    "connections",
    "Connections to providers that were made.  Tenant is whose provider it is.",
)
POOL_WAIT = Family(
    "llmgateway_pool_wait_seconds",
    Kind.HISTOGRAM,
    ("tenant", "provider"),
    "seconds",
    "How long attempts waited for a connection: not at all for an idle one, else for a new one or for one to become "
    "free; who gave up is in it, too.  Tenant is whose provider it is.",
)
DOWNSTREAM_CONNECTIONS = Family(
    "llmgateway_downstream_connections",
    Kind.GAUGE,
    ("listener", "state"),
    "connections",
    "Connections of clients by the name given with --listen: active, which have a request, or idle.",
)
DOWNSTREAM_OPENED = Family(
    "llmgateway_downstream_connections_opened_total",
    Kind.COUNTER,
    ("listener",),
    "connections",
    "Connections that clients have made.",
)
TLS_HANDSHAKES = Family(
    "llmgateway_tls_handshakes_total",
    Kind.COUNTER,
    ("side", "result"),
    "handshakes",
    "TLS handshakes that have ended; side is downstream (clients) or upstream (providers), result is ok, refused (the "
    "certificate), failed, timeout or left (the client).",
)
CERTIFICATE_EXPIRY = Family(
    "llmgateway_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    ("file",),
    "seconds",
    "Unix time at which the certificate that a `tls:` listener shows ends, or the first of its chain, by its file.",
)
CLIENT_CERTIFICATE_EXPIRY = Family(
    "llmgateway_client_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    ("tenant", "provider"),
    "seconds",
    "Unix time at which the certificate that the gateway shows to a provider (`clientCertificate`) ends, or the first "
    "of its chain.  Tenant is whose provider it is.",
)
BREAKER_STATE = Family(
    "llmgateway_breaker_state",
    Kind.GAUGE,
    ("tenant", "provider", "key"),
    "",
    "0 where requests pass, 2 where the provider is left alone for a while, 1 when that is over and until one request "
    "has tried it again.  "
    "Tenant is whose provider it is; where others use it, too, this is the worst that any has of it.",
)
KEY_USABLE = Family(
    "llmgateway_key_usable",
    Kind.GAUGE,
    ("tenant", "provider", "key"),
    "",
    "0 where the provider has refused the key, or has said that it is at its limit for now; else 1. Tenant as before.",
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
LOOP_LAG = Family(
    "llmgateway_loop_lag_seconds",
    Kind.HISTOGRAM,
    (),
    "seconds",
    "How much later than due the event loop came to a timer, four times a second: what requests wait for when it is "
    "busy.",
)
LINES_DROPPED = Family(
    "llmgateway_access_log_lines_dropped_total",
    Kind.COUNTER,
    (),
    "lines",
    "Lines of the access log that could not be written: a full disk, a closed or stalled pipe.",
)
OWN_LINES_DROPPED = Family(
    "llmgateway_log_lines_dropped_total",
    Kind.COUNTER,
    (),
    "lines",
    "Lines of the gateway's own log that the standard output did not take, likewise.",
)
CAPTURED_LINES_DROPPED = Family(
    "llmgateway_capture_log_lines_dropped_total",
    Kind.COUNTER,
    (),
    "lines",
    "Lines of the capture log that could not be written, likewise.",
)
SPANS_EXPORTED = Family(
    "llmgateway_spans_exported_total",
    Kind.COUNTER,
    (),
    "spans",
    "Spans that the tracing collector has taken.",
)
SPANS_LOST = Family(
    "llmgateway_spans_lost_total",
    Kind.COUNTER,
    (),
    "spans",
    "Spans that the tracing collector has not taken, or not fast enough.",
)
ADMIN_REFUSALS = Family(
    "llmgateway_admin_refusals_total",
    Kind.COUNTER,
    ("reason",),
    "requests",
    "Requests that the admin port has refused; reason is no_token, wrong_token, signed_out (a cookie that has ended or "
    "was never given), strange_host or strange_origin (a form of another site).",
)
BUILD = Family(
    "llmgateway_build_info",
    Kind.INFO,
    ("version", "python", "twisted"),
    "",
    "Always 1; the labels tell what is running.",
)

FAMILIES = (
    *(REQUESTS, DURATION, OVERHEAD, TIME_TO_FIRST_TOKEN, TIME_PER_OUTPUT_TOKEN),
    *(TOKENS, TOKENS_ESTIMATED, COST, DISCARDED_TOKENS, DISCARDED_COST, REQUEST_BYTES, RESPONSE_BYTES),
    *(ATTEMPTS, RETRIES, FALLBACKS, HEDGES, CONTINUATIONS, MIRRORED, IN_FLIGHT, HELD_BODY_BYTES),
    *(
        UPSTREAM_CONNECTIONS,
        UPSTREAM_OPENED,
        POOL_WAIT,
        DOWNSTREAM_CONNECTIONS,
        DOWNSTREAM_OPENED,
        TLS_HANDSHAKES,
    ),
    *(CERTIFICATE_EXPIRY, CLIENT_CERTIFICATE_EXPIRY, BREAKER_STATE, KEY_USABLE, HEALTH_CHECKS),
    *(RELOAD_SUCCESSFUL, RELOAD_TIMESTAMP, RELOADS, PROBLEMS, LOOP_LAG),
    *(
        LINES_DROPPED,
        OWN_LINES_DROPPED,
        CAPTURED_LINES_DROPPED,
        SPANS_EXPORTED,
        SPANS_LOST,
        ADMIN_REFUSALS,
        BUILD,
    ),
)
