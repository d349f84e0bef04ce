"""What the dashboard shows of the gateway itself and of its providers."""

from __future__ import annotations

from tests.deploy.expressions import (
    ASKED,
    HERE,
    PERCENTILES,
    PROVIDER,
    gauge,
    percentile,
    rate,
    rise,
)
from tests.deploy.grafana import BAD, GOOD, POOR, Panel, Query, Row

PROVIDERS = Row(
    "Providers",
    [
        Panel(
            "Attempts by outcome",
            "cps",
            [Query(rate("attempts_total", "provider, outcome"), "{{provider}} {{outcome}}")],
            "Several for a request that was tried again or elsewhere; open is who was passed over.",
            width=12,
            stacked=True,
        ),
        Panel(
            "Failed attempts by provider",
            "percentunit",
            [
                Query(
                    rate("attempts_total", "provider", f'{ASKED},outcome!~"ok|cancelled|open"')
                    + " / "
                    + rate("attempts_total", "provider", f'{ASKED},outcome!~"cancelled|open"'),
                    "{{provider}}",
                )
            ],
            "Refusals that are the client's doing are among them.",
            width=12,
            most=1.0,
        ),
        Panel(
            "Retries and fallbacks",
            "cps",
            [
                Query(rate("retries_total", "provider"), "again {{provider}}"),
                Query(rate("fallbacks_total", "provider"), "on to {{provider}}"),
            ],
        ),
        Panel(
            "Hedges and continuations",
            "cps",
            [
                Query(rate("hedges_total", "provider, result"), "hedge {{provider}} {{result}}"),
                Query(rate("stream_continuations_total", "provider, way"), "rest {{provider}} {{way}}"),
            ],
        ),
        Panel(
            "Copies and health checks",
            "cps",
            [
                Query(rate("mirrored_requests_total", "provider, outcome"), "copy {{provider}} {{outcome}}"),
                Query(
                    rate("health_checks_total", "provider, result", PROVIDER), "check {{provider}} {{result}}"
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
            words={0: ("in use", GOOD), 1: ("tried again", POOR), 2: ("left alone", BAD)},
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
        ),
        Panel(
            "Changes, and age of what runs",
            "short",
            [
                Query(rise("config_reloads_total", "result"), "{{result}}"),
                Query(
                    "min by (tenant) (time() - "
                    f'llmgateway_config_last_reload_timestamp_seconds{{{HERE},tenant=~"$tenant"}}) / 3600',
                    "{{tenant}}, hours",
                ),
            ],
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
            [Query(gauge("upstream_connections", "provider, state", PROVIDER), "{{provider}} {{state}}")],
            "pending is who waits for one.",
            stacked=True,
        ),
        Panel(
            "Wait for a connection",
            "s",
            [
                Query(percentile("0.95", "pool_wait_seconds", "provider", PROVIDER), "95 % {{provider}}"),
            ],
        ),
        Panel(
            "New connections",
            "cps",
            [
                Query(
                    rate("downstream_connections_opened_total", "listener", HERE), "of clients {{listener}}"
                ),
                Query(rate("upstream_connections_opened_total", "provider", PROVIDER), "to {{provider}}"),
            ],
            width=12,
        ),
        Panel(
            "TLS handshakes",
            "cps",
            [Query(rate("tls_handshakes_total", "side, result", HERE), "{{side}} {{result}}")],
            "Upstream and refused: a provider's certificate is not believed.",
            width=12,
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
            ],
            "A full disk, or a reader that is too slow or gone: the gateway's own log says which.",
        ),
        Panel(
            "Spans",
            "cps",
            [
                Query(rate("spans_exported_total", "instance", HERE), "exported {{instance}}"),
                Query(rate("spans_lost_total", "instance", HERE), "lost {{instance}}"),
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
        ),
        Panel(
            "Loop lag",
            "s",
            [
                Query(percentile(part, "loop_lag_seconds", "instance", HERE), "{{instance}} " + legend)
                for part, legend in PERCENTILES[1:]
            ],
            "How late the event loop comes to what is due: what requests wait for when it is busy.",
        ),
        Panel(
            "Memory",
            "bytes",
            [Query(f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})", "{{instance}}")],
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
        ),
        Panel(
            "Since its start",
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
