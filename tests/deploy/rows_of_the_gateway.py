"""What the dashboard shows of the gateway itself and of its providers."""

from __future__ import annotations

from tests.deploy.expressions import (
    ATTEMPTS,
    CERTIFICATE_SECONDS,
    FAILED_ATTEMPTS,
    HERE,
    LOOP_LAG_SECONDS,
    PERCENTILES,
    PROVIDER,
    PROVIDER_FAILING,
    gauge,
    percentile,
    rate,
    rise,
    share,
)
from tests.deploy.grafana import BAD, GOOD, POOR, Panel, Query, Row

_IT = "tenant, provider"
_NAME = "{{tenant}} {{provider}}"

PROVIDERS = Row(
    "Providers",
    [
        Panel(
            "Attempts by outcome",
            "cps",
            [Query(rate("attempts_total", f"{_IT}, outcome"), _NAME + " {{outcome}}")],
            "Several for a request that was tried again or elsewhere; open is a provider that was passed over.",
            width=12,
            stacked=True,
        ),
        Panel(
            "Failed attempts by provider",
            "percentunit",
            [
                Query(
                    share(
                        rate("attempts_total", _IT, FAILED_ATTEMPTS), rate("attempts_total", _IT, ATTEMPTS)
                    ),
                    _NAME,
                )
            ],
            "Refusals that are the client's doing are among them.  The line is where LLMGatewayProviderFailing fires, "
            "which leaves them out.",
            width=12,
            most=1.0,
            steps=((None, GOOD), (PROVIDER_FAILING, BAD)),
        ),
        Panel(
            "Retries and fallbacks",
            "cps",
            [
                Query(rate("retries_total", _IT), f"retry {_NAME}"),
                Query(rate("fallbacks_total", _IT), f"fallback {_NAME}"),
            ],
            "By the provider that was asked again, or turned to.",
        ),
        Panel(
            "Hedges and continuations",
            "cps",
            [
                Query(rate("hedges_total", f"{_IT}, result"), f"hedge {_NAME} {{{{result}}}}"),
                Query(rate("stream_continuations_total", f"{_IT}, way"), f"continuation {_NAME} {{{{way}}}}"),
            ],
        ),
        Panel(
            "Mirrors and health checks",
            "cps",
            [
                Query(rate("mirrored_requests_total", f"{_IT}, outcome"), f"mirror {_NAME} {{{{outcome}}}}"),
                Query(
                    rate("health_checks_total", f"{_IT}, result", where=PROVIDER),
                    f"health check {_NAME} {{{{result}}}}",
                ),
            ],
        ),
        Panel(
            "Breakers",
            "short",
            [
                Query(
                    f"max by (tenant, provider, key) (llmgateway_breaker_state{{{PROVIDER}}})",
                    "{{tenant}} {{provider}} {{key}}",
                )
            ],
            "Tenant is whose provider it is; where others use it, too, this is the worst that any has of it.",
            kind="state-timeline",
            width=12,
            words={0: ("closed", GOOD), 1: ("half-open", POOR), 2: ("open", BAD)},
        ),
        Panel(
            "Keys",
            "short",
            [
                Query(
                    f"min by (tenant, provider, key) (llmgateway_key_usable{{{PROVIDER}}})",
                    "{{tenant}} {{provider}} {{key}}",
                )
            ],
            "Refused by the provider, or at its limit.",
            kind="state-timeline",
            width=12,
            words={1: ("usable", GOOD), 0: ("not usable", BAD)},
        ),
    ],
)

CONFIGURATION = Row(
    "Configuration",
    [
        Panel(
            "Tenants",
            "short",
            [
                Query(
                    f'min by (tenant) (llmgateway_config_last_reload_successful{{{HERE},tenant=~"$tenant"}})',
                    "{{tenant}}",
                )
            ],
            "Without a name: the Gateway document.",
            kind="state-timeline",
            words={1: ("as its files are", GOOD), 0: ("last good, or none", BAD)},
            width=12,
        ),
        Panel(
            "Problems",
            "short",
            [
                Query(
                    f'max by (tenant, severity) (llmgateway_config_problems{{{HERE},tenant=~"$tenant"}}) > 0'
                    f' or sum(llmgateway_config_problems{{{HERE},tenant=~"$tenant"}})',
                    "{{tenant}} {{severity}}",
                )
            ],
            "/config and the live page name file and line.  The curve without a name is all of them.",
            width=12,
        ),
        Panel(
            "Changes",
            "short",
            [Query(rise("config_reloads_total", "result"), "{{result}}")],
            "rejected: nothing of a change is in effect, partly_applied: not for every tenant.",
            stacked=True,
            axis="changes",
            width=12,
        ),
        Panel(
            "Age of what runs",
            "s",
            [
                Query(
                    "min by (tenant) (time() - "
                    f'llmgateway_config_last_reload_timestamp_seconds{{{HERE},tenant=~"$tenant"}})',
                    "{{tenant}}",
                )
            ],
            "Since the tenant's last change was applied.  Without a name: the Gateway document.",
            width=12,
        ),
    ],
)

CONNECTIONS = Row(
    "Connections",
    [
        Panel(
            "Of clients",
            "short",
            [Query(gauge("downstream_connections", "listener, state"), "{{listener}} {{state}}")],
            stacked=True,
        ),
        Panel(
            "To providers",
            "short",
            [Query(gauge("upstream_connections", f"{_IT}, state", PROVIDER), _NAME + " {{state}}")],
            "pending is who waits for one.  Tenant is whose provider it is.",
            stacked=True,
        ),
        Panel(
            "Wait for a connection, p95",
            "s",
            [Query(percentile("0.95", "pool_wait_seconds", _IT, PROVIDER), _NAME)],
        ),
        Panel(
            "New connections",
            "cps",
            [
                Query(
                    rate("downstream_connections_opened_total", "listener", where=HERE),
                    "of clients {{listener}}",
                ),
                Query(rate("upstream_connections_opened_total", _IT, where=PROVIDER), f"to {_NAME}"),
            ],
            width=12,
        ),
        Panel(
            "TLS handshakes",
            "cps",
            [Query(rate("tls_handshakes_total", "side, result", where=HERE), "{{side}} {{result}}")],
            "Upstream and refused: a provider's certificate is not believed.",
            width=12,
        ),
        Panel(
            "Certificates",
            "s",
            [
                Query(
                    "min by (instance, file) "
                    f"(llmgateway_certificate_expiry_timestamp_seconds{{{HERE}}} - time())",
                    "{{instance}} {{file}}",
                ),
                Query(
                    "min by (tenant, provider) "
                    f"(llmgateway_client_certificate_expiry_timestamp_seconds{{{PROVIDER}}} - time())",
                    "{{tenant}} for {{provider}}",
                ),
            ],
            "How long those of listeners and those that providers are shown are valid still.  Below the line "
            "LLMGatewayCertificateExpiring or LLMGatewayClientCertificateExpiring fires.",
            width=24,
            steps=((None, BAD), (CERTIFICATE_SECONDS, GOOD)),
        ),
    ],
)

WATCHING = Row(
    "Logs, traces and the admin port",
    [
        Panel(
            "Lost lines",
            "short",
            [
                Query(rise("access_log_lines_dropped_total", "instance"), "access log {{instance}}"),
                Query(rise("capture_log_lines_dropped_total", "instance"), "capture log {{instance}}"),
                Query(rise("log_lines_dropped_total", "instance"), "gateway's log {{instance}}"),
            ],
            "A full disk, or a reader that is too slow or gone: the gateway's own log says which.",
        ),
        Panel(
            "Spans",
            "cps",
            [
                Query(rate("spans_exported_total", "instance", where=HERE), "exported {{instance}}"),
                Query(rate("spans_lost_total", "instance", where=HERE), "lost {{instance}}"),
            ],
            "What the tracing collector has taken, and what not.",
        ),
        Panel(
            "Refused at the admin port",
            "short",
            [Query(rise("admin_refusals_total", "reason"), "{{reason}}")],
            "Many with wrong_token are somebody who guesses: the gateway's own log names the addresses.",
            stacked=True,
        ),
    ],
)

PROCESS = Row(
    "Process",
    [
        Panel(
            "CPU",
            "percentunit",
            [
                Query(
                    f"sum by (instance) (rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval]))",
                    "{{instance}}",
                )
            ],
            "A process uses one core, and a little for metrics and reloads: at 100 % it is at its end.",
            steps=((None, GOOD), (1.0, BAD)),
        ),
        Panel(
            "Loop lag",
            "s",
            [
                Query(percentile(part, "loop_lag_seconds", "instance", HERE), "{{instance}} " + legend)
                for part, legend in PERCENTILES[1:]
            ],
            "How late the event loop comes to what is due: what requests wait for when it is busy.  The line is "
            "LLMGatewayLoopLagging's, for p95.",
            steps=((None, GOOD), (LOOP_LAG_SECONDS, BAD)),
        ),
        Panel(
            "Memory",
            "bytes",
            [
                Query(f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})", "{{instance}}"),
                Query(gauge("held_request_bytes", "instance"), "{{instance}} held of requests' bodies"),
            ],
            "Of large bodies as much is held as `limits.allBodiesBytes` allows.",
        ),
        Panel(
            "Open files",
            "percentunit",
            [
                Query(
                    f"max by (instance) (process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}})",
                    "{{instance}}",
                )
            ],
            "Share of what the process may have; each connection is one.",
            most=1.0,
            steps=((None, GOOD), (0.8, BAD)),
        ),
        Panel(
            "Uptime",
            "s",
            [Query(f"min by (instance) (time() - process_start_time_seconds{{{HERE}}})", "{{instance}}")],
        ),
        Panel(
            "Versions",
            "short",
            [Query(f"count by (version, python, twisted) (llmgateway_build_info{{{HERE}}})")],
            kind="table",
            columns={"version": "llmgateway", "python": "Python", "twisted": "Twisted", "Value": "Processes"},
        ),
    ],
)
