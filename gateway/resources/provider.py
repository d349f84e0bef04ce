"""LLMProvider: who can answer, where it is, and what its requests are given."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.endpoint import ENDPOINT, Endpoint
from gateway.resources.health_checks import HEALTH_CHECK, HealthCheck
from gateway.resources.prefill import PREFILL, Prefill, prefill_of
from gateway.resources.pricing import PRICING, Pricing
from gateway.resources.problems import Places
from gateway.resources.provider_config import CONFIGS, ProviderConfig
from gateway.resources.shapes import (
    ExpandedText,
    Field,
    ListOf,
    MapOf,
    Record,
    Text,
    Values,
)
from gateway.resources.timeouts import UPSTREAM_TIMEOUTS
from gateway.resources.traffic_policy import CONNECTION_POOL, OUTLIER_DETECTION


@frozen
class LLMProvider:
    """One provider as written."""

    name: str
    tenant: str
    """Its owner; the root namespace for a provider that all may use."""
    host: str
    """Lower case, without trailing dot; an IPv6 address without brackets."""
    path: str | None = field(repr=False)
    """Of chat completions.  May hold what came from outside."""
    workload_labels: Mapping[str, str]
    """Only a gateway that carries all of these labels loads it."""
    export_to: tuple[str, ...]
    """Tenants, or `*`; empty for its own tenant."""
    endpoint: Endpoint | None
    timeouts: Mapping[str, float]
    """Those that were written, as `Timeouts` names them; in seconds."""
    connection_pool: Mapping[str, Any]
    """What was written, as `PoolLimits` names it."""
    outlier_detection: Mapping[str, Any]
    """What was written, as `OutlierDetection` names it."""
    health_check: HealthCheck | None
    prefill: Prefill | None
    """None where it cannot be asked to go on with words given to it."""
    pricing: Pricing | None
    """None where nobody has said what it costs."""
    default_config: ProviderConfig | None
    route_configs: Mapping[str, ProviderConfig]
    """By the name of the rule that matched."""
    from_outside: tuple[Secret, ...]
    """Every value that came from the environment or a file, wherever in the document it stands."""
    places: Places = field(eq=False, repr=False)


PROVIDER_SPEC = Record(
    (
        Field(
            "host",
            Text(syntax.HOST),
            "Unique among the providers a tenant sees; also SNI, certificate name and Host header.",
            required=True,
        ),
        Field(
            "path", ExpandedText(syntax.URL_PATH), "Of chat completions; /v1/chat/completions unless written."
        ),
        Field(
            "workloadSelector",
            Record(
                (Field("labels", MapOf(syntax.WORD, Text(syntax.LABEL_VALUE)), "As given with --label."),)
            ),
            "Which gateways load this provider; all unless written.",
        ),
        Field("configs", CONFIGS, "What requests are given."),
        Field("endpoint", ENDPOINT, "Where to connect, if not to the host on port 443."),
        Field(
            "exportTo", ListOf(Text(syntax.TENANT_OR_ALL)), 'Who else may name it: tenants, or "*" for all.'
        ),
        Field("timeouts", UPSTREAM_TIMEOUTS, "How long this provider may take."),
        Field("connectionPool", CONNECTION_POOL, "How much it is sent at once."),
        Field("outlierDetection", OUTLIER_DETECTION, "When it is left alone."),
        Field("healthCheck", HEALTH_CHECK, "A cheap request that it is asked now and then."),
        Field("prefill", PREFILL, "It goes on with words that are given to it; false unless written."),
        Field("pricing", PRICING, "What its models cost."),
    )
)


def provider_of(
    name: str, tenant: str, values: Values, places: Places, from_outside: tuple[Secret, ...]
) -> LLMProvider:
    """The provider that a whole and valid spec describes."""
    selector = values["workloadSelector"]
    configs = values["configs"]
    nothing: Mapping[str, Any] = MappingProxyType({})
    return LLMProvider(
        name=name,
        tenant=tenant,
        host=values["host"],
        path=values["path"],
        workload_labels=(selector and selector["labels"]) or nothing,
        export_to=values["exportTo"] or (),
        endpoint=values["endpoint"],
        timeouts=values["timeouts"] or nothing,
        connection_pool=values["connectionPool"] or nothing,
        outlier_detection=values["outlierDetection"] or nothing,
        health_check=values["healthCheck"],
        prefill=prefill_of(values["prefill"]),
        pricing=values["pricing"],
        default_config=configs and configs["defaultConfig"],
        route_configs=(configs and configs["routeSpecificConfigs"]) or nothing,
        from_outside=from_outside,
        places=places,
    )
