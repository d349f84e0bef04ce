"""What the dashboard shows of requests: how many, how fast, how dear."""

from __future__ import annotations

from typing import Any

from tests.deploy.expressions import (
    ASKED,
    FAILED,
    HERE,
    percentile,
    percentiles,
    rate,
    share,
    within,
)
from tests.deploy.grafana import BAD, GOOD, POOR, Panel, Query, Row

SHARE = ((None, GOOD), (0.01, POOR), (0.05, BAD))

NAMES = {"tenant": "Tenant", "client": "Client", "route": "Route", "provider": "Provider", "model": "Model"}


def number(title: str, unit: str, expression: str, about: str = "", **more: Any) -> Panel:
    return Panel(title, unit, [Query(expression)], about, kind="stat", width=4, height=4, **more)


AT_A_GLANCE = Row(
    "At a glance",
    [
        number("Requests", "reqps", rate("requests_total")),
        number(
            "Failed",
            "percentunit",
            share(rate("requests_total", where=FAILED), rate("requests_total")),
            "Share of requests that went wrong and were not the client's doing.",
            steps=SHARE,
        ),
        number(
            "First token, 95 %",
            "s",
            percentile("0.95", "time_to_first_token_seconds"),
            "Nineteen of twenty streams begin within this time.",
            steps=((None, GOOD), (5.0, POOR), (10.0, BAD)),
        ),
        number("Under way", "short", f"sum(llmgateway_requests_in_flight{{{HERE}}})"),
        number(
            "Tokens",
            "short",
            f'sum(rate(llmgateway_tokens_total{{{ASKED},type=~"input|output"}}[$__rate_interval]))',
            "Input and output, a second.",
        ),
        Panel(
            "Cost of an hour",
            "short",
            [
                Query(
                    f"sum by (currency) (rate(llmgateway_cost_total{{{ASKED}}}[$__rate_interval])) * 3600",
                    "{{currency}}",
                )
            ],
            "At the pace of this moment, for models that have a price.",
            kind="stat",
            width=4,
            height=4,
        ),
    ],
)

TRAFFIC = Row(
    "Traffic",
    [
        Panel(
            "Requests by outcome",
            "reqps",
            [Query(rate("requests_total", "outcome"), "{{outcome}}")],
            "docs/metrics.md says what each outcome means.",
            stacked=True,
        ),
        Panel(
            "Failed by route",
            "percentunit",
            [
                Query(
                    f"{rate('requests_total', 'tenant, route', FAILED)} / {rate('requests_total', 'tenant, route')}",
                    "{{tenant}} {{route}}",
                )
            ],
            "Share that went wrong and was not the client's doing; what has not failed is not drawn.",
            most=1.0,
        ),
        Panel(
            "Errors by code",
            "reqps",
            [
                Query(
                    rate("requests_total", "code, outcome", f'{ASKED},outcome!="ok"'), "{{code}} {{outcome}}"
                )
            ],
            "The status that clients saw; 499 is theirs who left, and 200 with answer_cut broke off.",
            stacked=True,
        ),
        Panel(
            "Requests by tenant",
            "reqps",
            [Query(rate("requests_total", "tenant, client"), "{{tenant}} {{client}}")],
            stacked=True,
        ),
        Panel(
            "Requests by route and rule",
            "reqps",
            [Query(rate("requests_total", "route, rule"), "{{route}} {{rule}}")],
            stacked=True,
        ),
        Panel(
            "Bodies",
            "Bps",
            [Query(rate("request_bytes_total"), "asked"), Query(rate("response_bytes_total"), "answered")],
        ),
    ],
)

LATENCY = Row(
    "Latency",
    [
        Panel(
            "Whole answers",
            "s",
            percentiles("request_duration_seconds"),
            "From the end of a request's head to the end of its answer; buckets reach 600 s.",
        ),
        Panel(
            "First token",
            "s",
            percentiles("time_to_first_token_seconds"),
            "Of streams, failed attempts before it included.",
        ),
        Panel(
            "The gateway's own part",
            "s",
            percentiles("overhead_seconds"),
            "What it worked itself, without waiting for client, provider or connection.",
        ),
        Panel(
            "Whole answers by provider, 95 %",
            "s",
            [
                Query(
                    percentile("0.95", "request_duration_seconds", "provider, model"),
                    "{{provider}} {{model}}",
                )
            ],
        ),
        Panel(
            "First token by provider, 95 %",
            "s",
            [
                Query(
                    percentile("0.95", "time_to_first_token_seconds", "provider, model"),
                    "{{provider}} {{model}}",
                )
            ],
        ),
        Panel(
            "Each further token by provider, half",
            "s",
            [
                Query(
                    percentile("0.5", "time_per_output_token_seconds", "provider, model"),
                    "{{provider}} {{model}}",
                )
            ],
            "Of streams that came whole.",
        ),
    ],
)

TOKENS_AND_COST = Row(
    "Tokens and cost",
    [
        Panel(
            "Tokens by type",
            "short",
            [Query(rate("tokens_total", "type"), "{{type}}")],
            "A second; cached_input is part of input, reasoning of output.",
        ),
        Panel(
            "Tokens by tenant and model",
            "short",
            [
                Query(
                    rate("tokens_total", "tenant, model", f'{ASKED},type=~"input|output"'),
                    "{{tenant}} {{model}}",
                )
            ],
            "Input and output, a second.",
            stacked=True,
        ),
        Panel(
            "Estimated tokens",
            "percentunit",
            [
                Query(
                    share(
                        rate("tokens_estimated_total", "provider"),
                        rate("tokens_total", "provider", f'{ASKED},type=~"input|output"'),
                    ),
                    "{{provider}}",
                )
            ],
            "Share that no provider has counted: of answers without usage, or that were left.",
            most=1.0,
        ),
        Panel(
            "Cost of an hour by tenant",
            "short",
            [Query(f"{rate('cost_total', 'tenant, currency')} * 3600", "{{tenant}} {{currency}}")],
            stacked=True,
        ),
        Panel(
            "Cost in this time",
            "short",
            [Query(within("cost_total", "tenant, client, route, provider, model, currency"))],
            "For models that have a price.",
            kind="table",
            columns={**NAMES, "currency": "Currency", "Value": "Cost"},
        ),
        Panel(
            "Tokens in this time",
            "short",
            [
                Query(
                    within(
                        "tokens_total",
                        "tenant, client, route, provider, model, type",
                        f'{ASKED},type=~"input|output"',
                    )
                )
            ],
            kind="table",
            columns={**NAMES, "type": "Type", "Value": "Tokens"},
        ),
    ],
)
