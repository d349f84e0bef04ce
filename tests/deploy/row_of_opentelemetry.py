"""What the dashboard shows of OpenTelemetry's metrics, whichever of their generations a gateway has.

Where it has both, those of the newer one count.  That is settled series by series, before anything is added up, so that
gateways of which some have the one and some the other may be looked at together.
"""

from __future__ import annotations

from tests.deploy.expressions import HERE
from tests.deploy.grafana import Panel, Query, Row

_TYPES = "gen_ai_token_modality, gen_ai_token_type"
"""What the tokens of the newer and of the older generation have labels for, and the other has not."""

_WHO = "gen_ai_provider_name, gen_ai_request_model"
_ITS = "{{gen_ai_provider_name}} {{gen_ai_request_model}}"


def _rate(metric: str, more: str = "") -> str:
    return f"rate(gen_ai_{metric}{{{HERE}{more}}}[$__rate_interval])"


def _either(newer: str, older: str, by: str, more: str = "") -> str:
    """How many a second, for each value of these labels."""
    return f"sum by ({by}) ({_rate(newer, more)} or {_rate(older, more)})"


def _tokens(newer: str, older: str, kind: str, by: str) -> str:
    """Likewise of tokens, which the older generation tells apart by a label."""
    of_kind = f',gen_ai_token_type="{kind}"'
    return f"sum by ({by}) ({_rate(newer)} or ignoring ({_TYPES}) {_rate(older, of_kind)})"


def _slowest(buckets: str) -> str:
    return f"histogram_quantile(0.95, {buckets})"


OPENTELEMETRY = Row(
    "OpenTelemetry's gen_ai metrics, where the Gateway document asks for them",
    [
        Panel(
            "Operations",
            "reqps",
            [
                Query(
                    _either(
                        "client_inference_duration_seconds_count",
                        "client_operation_duration_seconds_count",
                        "gen_ai_operation_name, gen_ai_provider_name",
                    ),
                    "{{gen_ai_operation_name}} {{gen_ai_provider_name}}",
                )
            ],
            "Whichever generation `metrics.genAi` names; docs/metrics.md has the names.",
            stacked=True,
        ),
        Panel(
            "Errors by type",
            "reqps",
            [
                Query(
                    _either(
                        "client_inference_duration_seconds_count",
                        "client_operation_duration_seconds_count",
                        "gen_ai_provider_name, error_type",
                        ',error_type!=""',
                    ),
                    "{{gen_ai_provider_name}} {{error_type}}",
                )
            ],
            "A code of the gateway's own, or the status that the client saw.",
            stacked=True,
        ),
        Panel(
            "Tokens by model",
            "short",
            [
                Query(
                    _tokens(
                        f"client_inference_usage_{kind}_tokens_total",
                        "client_token_usage_sum",
                        kind,
                        "gen_ai_request_model",
                    ),
                    f"{kind} {{{{gen_ai_request_model}}}}",
                )
                for kind in ("input", "output")
            ],
            "A second.",
        ),
        Panel(
            "Whole answers, 95 %",
            "s",
            [
                Query(
                    _slowest(
                        _either(
                            "client_inference_duration_seconds_bucket",
                            "client_operation_duration_seconds_bucket",
                            f"{_WHO}, le",
                        )
                    ),
                    _ITS,
                )
            ],
        ),
        Panel(
            "First chunk, 95 %",
            "s",
            [
                Query(
                    _slowest(
                        _either(
                            "client_inference_time_to_first_chunk_seconds_bucket",
                            "client_operation_time_to_first_chunk_seconds_bucket",
                            f"{_WHO}, le",
                        )
                    ),
                    _ITS,
                )
            ],
            "Of streams.",
        ),
        Panel(
            "From chunk to chunk, 95 %",
            "s",
            [
                Query(
                    _slowest(
                        _either(
                            "client_inference_time_per_output_chunk_seconds_bucket",
                            "client_operation_time_per_output_chunk_seconds_bucket",
                            f"{_WHO}, le",
                        )
                    ),
                    _ITS,
                )
            ],
            "Of streams: between two pieces, as they were read.",
        ),
        Panel(
            "Tokens of an answer, 95 %",
            "short",
            [
                Query(
                    _slowest(
                        _tokens(
                            f"client_inference_operation_{kind}_tokens_bucket",
                            "client_token_usage_bucket",
                            kind,
                            "gen_ai_request_model, le",
                        )
                    ),
                    f"{kind} {{{{gen_ai_request_model}}}}",
                )
                for kind in ("input", "output")
            ],
        ),
        Panel(
            "Parts of the tokens",
            "short",
            [
                Query(
                    f"sum by (gen_ai_request_model) ({_rate(f'client_inference_usage_{part}_tokens_total')})",
                    f"{legend} {{{{gen_ai_request_model}}}}",
                )
                for part, legend in (("cache_read_input", "cached input"), ("reasoning_output", "reasoning"))
            ],
            "A second; only the generation `next` has them.",
        ),
        Panel(
            "As a server, 95 %",
            "s",
            [
                Query(_slowest(f"sum by (le) ({_rate(f'server_{metric}_seconds_bucket')})"), legend)
                for metric, legend in (
                    ("request_duration", "whole answers"),
                    ("time_to_first_token", "first token"),
                    ("time_per_output_token", "each further token"),
                )
            ],
            "The same in both generations.",
        ),
    ],
    collapsed=True,
)
