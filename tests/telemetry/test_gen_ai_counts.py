"""OpenTelemetry's metrics, as its conventions have them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.messages import TokenUsage
from gateway.telemetry import gen_ai_families as families
from gateway.telemetry.gen_ai_counts import Asked, ChunkTimes
from gateway.telemetry.metrics import Metrics

WHAT = Asked("chat", "openai", "gpt", "api.openai.com", "443")
LABELS = dict(zip(families.LABELS, WHAT, strict=True))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def fill(metrics: Metrics) -> None:
    metrics.gen_ai.finished(WHAT, "", 100.0, TokenUsage(20, 4, cached_input=8, reasoning=2))
    metrics.gen_ai.finished(WHAT, "500", 700.0, None)
    chunks = ChunkTimes()
    for read in (10.0, 13.0):
        chunks.read(read)
    chunks.content_came()
    for read in (13.5, 15.0):
        chunks.read(read)
    metrics.gen_ai.streamed(WHAT, 3.0, 0.5, chunks)


def test_both_generations_show_the_same_counts(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.gen_ai.adopt(["v1.41", "next"])
    fill(metrics)
    value = registry.get_sample_value
    for name in ("client_operation", "client_inference", "server_request"):
        duration = f"gen_ai_{name}_duration_seconds"
        assert value(f"{duration}_count", {**LABELS, "error_type": ""}) == 1
        assert value(f"{duration}_bucket", {**LABELS, "error_type": "", "le": "81.92"}) == 0
        assert value(f"{duration}_bucket", {**LABELS, "error_type": "", "le": "120.0"}) == 1
        assert value(f"{duration}_bucket", {**LABELS, "error_type": "500", "le": "600.0"}) == 0
    for name in ("operation", "inference"):
        per_chunk = f"gen_ai_client_{name}_time_per_output_chunk_seconds"
        assert value(f"{per_chunk}_count", LABELS) == 2
        assert value(f"{per_chunk}_sum", LABELS) == 2.0
        assert value(f"gen_ai_client_{name}_time_to_first_chunk_seconds_sum", LABELS) == 3.0
    assert value("gen_ai_server_time_per_output_token_seconds_sum", LABELS) == 0.5
    assert value("gen_ai_client_token_usage_sum", {**LABELS, "gen_ai_token_type": "output"}) == 4
    assert value("gen_ai_client_inference_operation_input_tokens_bucket", {**LABELS, "le": "16.0"}) == 0
    assert value("gen_ai_client_inference_operation_input_tokens_bucket", {**LABELS, "le": "64.0"}) == 1
    totals = {"input": 20, "output": 4, "cache_read_input": 8, "reasoning_output": 2}
    for name, number in totals.items():
        labels = {**LABELS, "gen_ai_token_modality": "unknown"}
        assert value(f"gen_ai_client_inference_usage_{name}_tokens_total", labels) == number


@pytest.mark.parametrize("generation", families.GENERATIONS)
def test_a_generation_shows_its_own_names(
    generation: str, registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.gen_ai.adopt([generation])
    fill(metrics)
    lines = generate_latest(registry).decode().splitlines()
    shown = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE gen_ai")}
    assert shown == {family.name: family.kind.value for family in families.GENERATIONS[generation]}


def test_what_is_not_asked_for_is_forgotten(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.gen_ai.adopt(["next"])
    fill(metrics)
    metrics.gen_ai.adopt([])
    assert b"gen_ai" not in generate_latest(registry)
    metrics.gen_ai.adopt(["next"])
    assert registry.get_sample_value("gen_ai_client_inference_operation_input_tokens_count", LABELS) is None
