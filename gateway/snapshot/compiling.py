"""Compiled tenants -> the snapshot that the gateway runs on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from gateway.messages import Destination, PoolLimits
from gateway.resources.gateway import GatewayDocument
from gateway.resources.tenant import Tenant
from gateway.snapshot.claims import Judgement
from gateway.snapshot.clients import ClientIndex
from gateway.snapshot.compiled import CompiledTenant
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.tables import (
    BreakerName,
    GatewaySettings,
    HealthCheck,
    ProviderName,
    Snapshot,
    TenantTable,
    TurnsKey,
)


def snapshot_of(
    tenants: Mapping[str, CompiledTenant],
    gateway: GatewayDocument | None,
    judgement: Judgement,
    named: Collection[str],
    missing: Iterable[Tenant],
    pace: Callable[[], None],
) -> Snapshot:
    """Put the snapshot together.

    :param missing: documents of tenants that have nothing to run on.
    :param named: hosts that are named by files that are not used: a less specific route must not answer for them.
    :param pace: called after each tenant; it may wait.
    """
    anonymous: dict[str, TenantTable] = {}
    documents: list[Tenant] = []
    destinations: dict[Destination, PoolLimits] = {}
    turns_keys: set[TurnsKey] = set()
    breaker_names: set[BreakerName] = set()
    health_checks: dict[ProviderName, HealthCheck] = {}
    for name, tenant in tenants.items():
        for claim in (placed.claim for placed in tenant.claims):
            if claim.kind == "host" and judgement.granted.get(claim) == name:
                anonymous[claim.value] = tenant.table
        if tenant.resources.document is not None:
            documents.append(tenant.resources.document)
        destinations.update(tenant.pool_limits)
        turns_keys.update(tenant.turns_keys)
        breaker_names.update(tenant.breaker_names)
        health_checks.update(tenant.table.health_checks)
        pace()
    left_out = {claim.value for _, claim in judgement.left_out if claim.kind == "host"}
    return Snapshot(
        tenants=MappingProxyType({name: tenant.table for name, tenant in tenants.items()}),
        anonymous=HostTable(anonymous.items()),
        withheld=HostTable((host, host) for host in sorted({*named, *left_out} - anonymous.keys())),
        settings=_settings(gateway),
        destinations=MappingProxyType(destinations),
        turns_keys=frozenset(turns_keys),
        breaker_names=frozenset(breaker_names),
        health_checks=MappingProxyType(health_checks),
        clients=ClientIndex(documents, judgement.left_out, missing),
    )


def _settings(gateway: GatewayDocument | None) -> GatewaySettings:
    if gateway is None:
        return GatewaySettings()
    limits, timeouts = gateway.limits, gateway.timeouts
    return GatewaySettings(
        body_bytes=limits.get("bodyBytes"),
        head_bytes=limits.get("headBytes"),
        headers=limits.get("headers"),
        connections=limits.get("connections"),
        head_seconds=timeouts.get("head"),
        body_seconds=timeouts.get("body"),
        keep_alive_seconds=timeouts.get("keepAlive"),
        attempt_headers=gateway.attempt_headers,
    )
