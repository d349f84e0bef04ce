"""What is shown of answers that no client got anything of."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.discarded_counts import Discarded
from gateway.telemetry.metrics import Metrics

LABELS = SeriesLabels(tenant="acme", route="demo", rule="all", provider="first", model="small")
WHO = {
    "tenant": "acme",
    "client": "ci",
    "route": "demo",
    "rule": "all",
    "provider": "first",
    "model": "small",
}


def test_tokens_by_reason_and_whether_they_are_estimated() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.discarded(LABELS, "ci", Discarded.HEDGE, TokenUsage(20, 4), 0.5, "USD")
    metrics.discarded(LABELS, "ci", Discarded.HEDGE, TokenUsage(10, 0, estimated=True), 0.25, "USD")
    metrics.discarded(LABELS, "ci", Discarded.HEDGE, TokenUsage(7, 0, estimated=True), 0.25, "USD")
    metrics.discarded(LABELS, "ci", Discarded.LEFT, TokenUsage(1, 2), None, "")
    half = TokenUsage(9, 5, estimated=True, counted_input=9, counted_output=2)
    metrics.discarded(LABELS, "ci", Discarded.FAILED, half, None, "")

    def tokens(reason: str, kind: str, estimated: str) -> float | None:
        labels = {**WHO, "reason": reason, "type": kind, "estimated": estimated}
        return registry.get_sample_value("llmgateway_discarded_tokens_total", labels)

    assert (tokens("hedge", "input", "false"), tokens("hedge", "output", "false")) == (20, 4)
    assert (tokens("hedge", "input", "true"), tokens("hedge", "output", "true")) == (17, 0)
    assert (tokens("left", "input", "false"), tokens("left", "output", "false")) == (1, 2)
    assert (tokens("failed", "input", "false"), tokens("failed", "output", "false")) == (9, 2)
    assert (tokens("failed", "input", "true"), tokens("failed", "output", "true")) == (0, 3)
    costs = {
        (sample.labels["reason"], sample.labels["currency"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "llmgateway_discarded_cost_total"
    }
    assert costs == {("hedge", "USD"): 1.0}
    assert registry.get_sample_value("llmgateway_tokens_total", {**WHO, "type": "input"}) is None
