"""What the dashboard shows: `deploy/grafana/llmgateway.json` in short.  `test_dashboard.py` writes it."""

from __future__ import annotations

from tests.deploy.expressions import HERE
from tests.deploy.grafana import Variable, dashboard
from tests.deploy.row_of_opentelemetry import OPENTELEMETRY
from tests.deploy.rows_of_requests import AT_A_GLANCE, LATENCY, TOKENS_AND_COST, TRAFFIC
from tests.deploy.rows_of_the_gateway import CONFIGURATION, CONNECTIONS, PROCESS, PROVIDERS, WATCHING

OF_ROUTE = f'{HERE},tenant=~"$tenant",route=~"$route"'

VARIABLES = (
    Variable("job", "Job", "label_values(llmgateway_build_info, job)"),
    Variable("instance", "Gateway", 'label_values(llmgateway_build_info{job=~"$job"}, instance)'),
    Variable("tenant", "Tenant", f"label_values(llmgateway_requests_total{{{HERE}}}, tenant)"),
    Variable("route", "Route", f'label_values(llmgateway_requests_total{{{HERE},tenant=~"$tenant"}}, route)'),
    Variable("client", "Client", f"label_values(llmgateway_requests_total{{{OF_ROUTE}}}, client)"),
    Variable("provider", "Provider", f"label_values(llmgateway_attempts_total{{{OF_ROUTE}}}, provider)"),
    Variable(
        "model",
        "Model",
        f'label_values(llmgateway_attempts_total{{{OF_ROUTE},provider=~"$provider"}}, model)',
    ),
)

DASHBOARD = dashboard(
    "llmgateway",
    "llmgateway",
    "Traffic, latency, providers, tokens, cost and state of llmgateway.",
    VARIABLES,
    (
        *(AT_A_GLANCE, TRAFFIC, LATENCY, PROVIDERS, TOKENS_AND_COST),
        *(CONFIGURATION, CONNECTIONS, WATCHING, PROCESS, OPENTELEMETRY),
    ),
)
