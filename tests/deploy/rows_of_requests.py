"""What the dashboard shows of requests: how many, how fast, how dear."""

from __future__ import annotations

from typing import Any

from tests.deploy.expressions import (
    FAILED,
    FAILING,
    FAILING_SLOWLY,
    FIRST_TOKEN_SECONDS,
    HERE,
    percentile,
    percentiles,
    rate,
    share,
    within,
)
from tests.deploy.grafana import BAD, GOOD, POOR, Panel, Query, Row

SHARE = ((None, GOOD), (0.01, POOR), (0.05, BAD))

COUNTED = 'type=~"input|output"'
"""Tokens, each once."""

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
            share(rate("requests_total", more=FAILED), rate("requests_total")),
            "Share of requests that went wrong and were not the client's doing.",
            steps=SHARE,
        ),
        number(
            "Time to first token, p95",
            "s",
            percentile("0.95", "time_to_first_token_seconds"),
            "Nineteen of twenty streams begin within this time.",
            steps=((None, GOOD), (FIRST_TOKEN_SECONDS / 2, POOR), (FIRST_TOKEN_SECONDS, BAD)),
        ),
        number("In flight", "short", f"sum(llmgateway_requests_in_flight{{{HERE}}})"),
        number(
            "Tokens per second",
            "short",
            rate("tokens_total", more=COUNTED),
            "Input and output.",
        ),
        Panel(
            "Cost per hour",
            "short",
            [Query(f"{rate('cost_total', 'currency')} * 3600", "{{currency}}")],
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
                    share(
                        rate("requests_total", "tenant, route", FAILED),
                        rate("requests_total", "tenant, route"),
                    ),
                    "{{tenant}} {{route}}",
                )
            ],
            "Share that went wrong and was not the client's doing.  The lines are where LLMGatewayRequestsFailing and "
            "its slow sister would fire if it went on for hours.",
            most=1.0,
            steps=((None, GOOD), (FAILING_SLOWLY, POOR), (FAILING, BAD)),
        ),
        Panel(
            "Errors by code",
            "reqps",
            [Query(rate("requests_total", "code, outcome", 'outcome!="ok"'), "{{code}} {{outcome}}")],
            "The status that clients saw; 499 is theirs who left, and 200 with answer_cut broke off.",
            stacked=True,
        ),
        Panel(
            "Requests by tenant and client",
            "reqps",
            [Query(rate("requests_total", "tenant, client"), "{{tenant}} {{client}}")],
            stacked=True,
        ),
        Panel(
            "Requests by route and rule",
            "reqps",
            [Query(rate("requests_total", "tenant, route, rule"), "{{tenant}} {{route}} {{rule}}")],
            stacked=True,
        ),
        Panel(
            "Bodies",
            "Bps",
            [Query(rate("request_bytes_total"), "requests"), Query(rate("response_bytes_total"), "answers")],
        ),
    ],
)

_BY_PROVIDER = "tenant, provider, model"
_ITS = "{{tenant}} {{provider}} {{model}}"

_FIRST_TOKEN_LINE = ((None, GOOD), (FIRST_TOKEN_SECONDS, BAD))

LATENCY = Row(
    "Latency",
    [
        Panel(
            "Request duration",
            "s",
            percentiles("request_duration_seconds"),
            "From the end of a request's head to the end of its answer; buckets reach 600 s.",
        ),
        Panel(
            "Time to first token",
            "s",
            percentiles("time_to_first_token_seconds"),
            "Of streams, failed attempts before it included.  The line is LLMGatewayFirstTokenSlow's, for p95.",
            steps=_FIRST_TOKEN_LINE,
        ),
        Panel(
            "Gateway overhead",
            "s",
            percentiles("overhead_seconds"),
            "What it worked itself, without waiting for client, provider or connection.",
        ),
        Panel(
            "Request duration by provider, p95",
            "s",
            [Query(percentile("0.95", "request_duration_seconds", _BY_PROVIDER), _ITS)],
        ),
        Panel(
            "Time to first token by provider, p95",
            "s",
            [Query(percentile("0.95", "time_to_first_token_seconds", _BY_PROVIDER), _ITS)],
            "The line is LLMGatewayFirstTokenSlow's.",
            steps=_FIRST_TOKEN_LINE,
        ),
        Panel(
            "Time per output token by provider, p50",
            "s",
            [Query(percentile("0.5", "time_per_output_token_seconds", _BY_PROVIDER), _ITS)],
            "Of streams that came whole, each token after the first.",
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
            "cached_input is part of input, reasoning of output.",
            axis="tokens per second",
        ),
        Panel(
            "Tokens by tenant and model",
            "short",
            [Query(rate("tokens_total", "tenant, model", COUNTED), "{{tenant}} {{model}}")],
            "Input and output.",
            stacked=True,
            axis="tokens per second",
        ),
        Panel(
            "Estimated tokens",
            "percentunit",
            [
                Query(
                    share(
                        rate("tokens_estimated_total", "tenant, provider"),
                        rate("tokens_total", "tenant, provider", COUNTED),
                    ),
                    "{{tenant}} {{provider}}",
                )
            ],
            "Share that no provider has counted: of answers without usage, or that were left.",
            most=1.0,
        ),
        Panel(
            "Discarded tokens",
            "short",
            [
                Query(
                    rate("discarded_tokens_total", "tenant, provider, reason"),
                    "{{tenant}} {{provider}} {{reason}}",
                )
            ],
            "Of attempts that no client got anything of, and providers bill all the same; not among the tokens beside.",
            stacked=True,
            axis="tokens per second",
        ),
        Panel(
            "Cost per hour by tenant",
            "short",
            [Query(f"{rate('cost_total', 'tenant, currency')} * 3600", "{{tenant}} {{currency}}")],
            stacked=True,
            axis="of the currency, per hour",
        ),
        Panel(
            "Discarded cost per hour",
            "short",
            [
                Query(
                    f"{rate('discarded_cost_total', 'tenant, reason, currency')} * 3600",
                    "{{tenant}} {{reason}} {{currency}}",
                )
            ],
            "Of discarded tokens; not in the cost beside.",
            stacked=True,
            axis="of the currency, per hour",
        ),
        Panel(
            "Tokens that no client got",
            "short",
            [Query(rate("discarded_tokens_total", "reason"), "{{reason}}")],
            "A second, and in none of the others; docs/metrics.md says what each reason means.",
            stacked=True,
        ),
        Panel(
            "Tokens that no client got, by provider",
            "short",
            [Query(rate("discarded_tokens_total", "tenant, provider"), "{{tenant}} {{provider}}")],
            "Of attempts that came too late or were not needed, and of copies.",
            stacked=True,
        ),
        Panel(
            "Their cost of an hour",
            "short",
            [Query(f"{rate('discarded_cost_total', 'reason, currency')} * 3600", "{{reason}} {{currency}}")],
            "Beside the cost of answers, for models that have a price.",
            stacked=True,
        ),
        Panel(
            "Cost in this time",
            "short",
            [Query(within("cost_total", "tenant, client, route, provider, model, currency"))],
            "For models that have a price.",
            kind="table",
            width=12,
            columns={**NAMES, "currency": "Currency", "Value": "Cost"},
        ),
        Panel(
            "Tokens in this time",
            "short",
            [Query(within("tokens_total", "tenant, client, route, provider, model, type", COUNTED))],
            kind="table",
            width=12,
            columns={**NAMES, "type": "Type", "Value": "Tokens"},
        ),
    ],
)
