"""OpenTelemetry's metrics of generative AI under their Prometheus names, in both of their generations.

Names are made as OpenTelemetry's Prometheus exporter makes them: dots are underscores, a unit is a suffix (an
annotation such as `{token}` is none), a counter ends in `_total`.  `v1.41` is the last generation within
OpenTelemetry's own conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), `next` the one of
https://github.com/open-telemetry/semantic-conventions-genai, to which they have moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.telemetry.family import Family, Kind

_LONGER = (120.0, 163.84, 300.0, 600.0)
"""Bounds beside those of the convention, which end where reasoning models begin."""

DURATION_BUCKETS = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    *_LONGER,
)
FIRST_TOKEN_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *_LONGER,
)
PER_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, *_LONGER)
TOKEN_BUCKETS = tuple(4.0**power for power in range(14))

LABELS = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "server_address",
    "server_port",
)
_AND_ERROR = (*LABELS, "error_type")


def _seconds(name: str, labels: tuple[str, ...], meaning: str) -> Family:
    return Family(name, Kind.HISTOGRAM, labels, "seconds", meaning)


def _tokens(name: str, label: str, meaning: str) -> Family:
    return Family(name, Kind.COUNTER, (*LABELS, label), "tokens", meaning)


_DURATION = "From the end of a request's head to the end of its answer, failed attempts included."
_FIRST_CHUNK = "From the end of a request's head to the first content of its streamed answer."
_PER_CHUNK = "Between two pieces of a streamed answer, as they were read."

TOKEN_USAGE = Family(
    "gen_ai_client_token_usage",
    Kind.HISTOGRAM,
    (*LABELS, "gen_ai_token_type"),
    "tokens",
    "Tokens of one answer; type is input or output.",
)
CLIENT_DURATION = _seconds("gen_ai_client_operation_duration_seconds", _AND_ERROR, _DURATION)
FIRST_CHUNK = _seconds("gen_ai_client_operation_time_to_first_chunk_seconds", LABELS, _FIRST_CHUNK)
PER_CHUNK = _seconds("gen_ai_client_operation_time_per_output_chunk_seconds", LABELS, _PER_CHUNK)

SERVER_DURATION = _seconds("gen_ai_server_request_duration_seconds", _AND_ERROR, _DURATION)
SERVER_FIRST_TOKEN = _seconds("gen_ai_server_time_to_first_token_seconds", LABELS, _FIRST_CHUNK)
SERVER_PER_TOKEN = _seconds(
    "gen_ai_server_time_per_output_token_seconds",
    LABELS,
    "Of a streamed answer that is whole: from its first content to its end, by each output token after the first.",
)

NEXT_DURATION = _seconds("gen_ai_client_inference_duration_seconds", _AND_ERROR, _DURATION)
NEXT_FIRST_CHUNK = _seconds("gen_ai_client_inference_time_to_first_chunk_seconds", LABELS, _FIRST_CHUNK)
NEXT_PER_CHUNK = _seconds("gen_ai_client_inference_time_per_output_chunk_seconds", LABELS, _PER_CHUNK)
NEXT_INPUT = Family(
    "gen_ai_client_inference_operation_input_tokens",
    Kind.HISTOGRAM,
    LABELS,
    "tokens",
    "Input tokens of one answer.",
)
NEXT_OUTPUT = Family(
    "gen_ai_client_inference_operation_output_tokens",
    Kind.HISTOGRAM,
    LABELS,
    "tokens",
    "Output tokens of one answer.",
)
USAGE_INPUT = _tokens(
    "gen_ai_client_inference_usage_input_tokens_total", "gen_ai_token_modality", "Input tokens."
)
USAGE_OUTPUT = _tokens(
    "gen_ai_client_inference_usage_output_tokens_total", "gen_ai_token_modality", "Output tokens."
)
USAGE_CACHED = _tokens(
    "gen_ai_client_inference_usage_cache_read_input_tokens_total",
    "gen_ai_token_modality",
    "The part of the input tokens that the provider had read before.",
)
USAGE_REASONING = _tokens(
    "gen_ai_client_inference_usage_reasoning_output_tokens_total",
    "gen_ai_token_modality",
    "The part of the output tokens with which the model thought.",
)

_SERVER = (SERVER_DURATION, SERVER_FIRST_TOKEN, SERVER_PER_TOKEN)

GENERATIONS: Mapping[str, tuple[Family, ...]] = MappingProxyType(
    {
        "v1.41": (TOKEN_USAGE, CLIENT_DURATION, FIRST_CHUNK, PER_CHUNK, *_SERVER),
        "next": (
            *(NEXT_DURATION, NEXT_FIRST_CHUNK, NEXT_PER_CHUNK, NEXT_INPUT, NEXT_OUTPUT),
            *(USAGE_INPUT, USAGE_OUTPUT, USAGE_CACHED, USAGE_REASONING, *_SERVER),
        ),
    }
)
"""By the words of `metrics.genAi` in the Gateway document; those of servers have not changed."""
