"""How the dashboard asks Prometheus: which series, how many a second, which percentile."""

from __future__ import annotations

from tests.deploy.grafana import Query

HERE = 'job=~"$job",instance=~"$instance"'
"""The gateways that are looked at."""

PROVIDER = HERE + ',provider=~"$provider"'
"""Where the tenant is whose provider it is, who need not be the one who asks."""

ASKED = PROVIDER + ',tenant=~"$tenant",route=~"$route"'
"""Who asked, and who answered."""

FAILED = ASKED + ',outcome!~"ok|client_error|client_left",code!~"400|404|413|422"'
"""Not answered rightly, and not the client's doing: as in `deploy/prometheus/alerts.yaml`."""

PERCENTILES = (("0.5", "half"), ("0.95", "95 %"), ("0.99", "99 %"))


def rate(metric: str, by: str = "", where: str = ASKED) -> str:
    """How many a second, for each value of these labels."""
    return f"sum{f' by ({by})' if by else ''} (rate(llmgateway_{metric}{{{where}}}[$__rate_interval]))"


def rise(metric: str, by: str) -> str:
    """How many from one point of a curve to the next, at these gateways."""
    return f"sum by ({by}) (increase(llmgateway_{metric}{{{HERE}}}[$__rate_interval]))"


def within(metric: str, by: str, where: str = ASKED) -> str:
    """How many in the time that is shown."""
    return f"sum by ({by}) (increase(llmgateway_{metric}{{{where}}}[$__range]))"


def gauge(metric: str, by: str, where: str = HERE) -> str:
    """The sum for each value of these labels."""
    return f"sum by ({by}) (llmgateway_{metric}{{{where}}})"


def percentile(share: str, metric: str, by: str = "", where: str = ASKED) -> str:
    """What so large a share stays below."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', f'{by}, le' if by else 'le', where)})"


def percentiles(metric: str, where: str = ASKED) -> list[Query]:
    return [Query(percentile(share, metric, where=where), legend) for share, legend in PERCENTILES]


def share(of: str, all_of: str) -> str:
    """A share of nothing is nothing to show; where none is bad it is 0."""
    return f"({of} or {all_of} * 0) / {all_of}"
