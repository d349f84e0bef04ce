"""How the dashboard asks Prometheus: which series, how many a second, which percentile."""

from __future__ import annotations

import re

from gateway.telemetry.families import FAMILIES
from tests.deploy.grafana import Query

HERE = 'job=~"$job",instance=~"$instance"'
"""The gateways that are looked at."""

PROVIDER = HERE + ',provider=~"$provider"'
"""Where the tenant is whose provider it is, who need not be the one who asks."""

ASKED = PROVIDER + ',tenant=~"$tenant",route=~"$route",model=~"$model"'
"""Who asked, and who answered."""

ASKED_BY = ASKED + ',client=~"$client"'
"""The same of a metric that tells clients apart."""

FAILED = 'outcome!~"ok|client_error|client_left",code!~"400|404|413|422"'
"""Not answered rightly, and not the client's doing: as in `deploy/prometheus/alerts.yaml`."""

FAILED_ATTEMPTS, ATTEMPTS = 'outcome!~"ok|cancelled|open"', 'outcome!~"cancelled|open"'
"""Those that are a provider's, and all that have come to an end by themselves."""

PERCENTILES = (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))

# From where on something is wrong: drawn as lines, and what alerts.yaml has alerts for.
FAILING, FAILING_SLOWLY = 0.144, 0.06
"""Shares of requests."""
PROVIDER_FAILING = 0.25
"""Share of attempts."""
FIRST_TOKEN_SECONDS = 10.0
LOOP_LAG_SECONDS = 0.1
CERTIFICATE_SECONDS = 172800.0

_BY_CLIENT = {family.name for family in FAMILIES if "client" in family.labels}


def asked(metric: str, more: str = "") -> str:
    """What is chosen at the top, as far as this metric has labels for it, and further conditions."""
    chosen = ASKED_BY if re.sub(r"_(bucket|sum|count)$", "", f"llmgateway_{metric}") in _BY_CLIENT else ASKED
    return f"{chosen},{more}" if more else chosen


def rate(metric: str, by: str = "", more: str = "", where: str = "") -> str:
    """How many a second, for each value of these labels.

    :param more: conditions beside what is chosen.
    :param where: conditions instead of it.
    """
    series = f"llmgateway_{metric}{{{where or asked(metric, more)}}}"
    return f"sum{f' by ({by})' if by else ''} (rate({series}[$__rate_interval]))"


def rise(metric: str, by: str) -> str:
    """How many from one point of a curve to the next, at these gateways."""
    return f"sum by ({by}) (increase(llmgateway_{metric}{{{HERE}}}[$__rate_interval]))"


def within(metric: str, by: str, more: str = "") -> str:
    """How many in the time that is shown."""
    return f"sum by ({by}) (increase(llmgateway_{metric}{{{asked(metric, more)}}}[$__range]))"


def gauge(metric: str, by: str, where: str = HERE) -> str:
    """The sum for each value of these labels."""
    return f"sum by ({by}) (llmgateway_{metric}{{{where}}})"


def percentile(share: str, metric: str, by: str = "", where: str = "") -> str:
    """What so large a share stays below."""
    buckets = rate(f"{metric}_bucket", f"{by}, le" if by else "le", where=where)
    return f"histogram_quantile({share}, {buckets})"


def percentiles(metric: str) -> list[Query]:
    return [Query(percentile(share, metric), legend) for share, legend in PERCENTILES]


def share(of: str, all_of: str) -> str:
    """A share of nothing is nothing to show; where none is bad it is 0."""
    return f"({of} or {all_of} * 0) / {all_of}"
