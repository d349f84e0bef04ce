"""Compiled tenants -> the snapshot that the gateway runs on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gateway.messages import Destination, PoolLimits
from gateway.resources.gateway import GatewayDocument
from gateway.resources.tenant import Tenant
from gateway.snapshot.claims import Judgement, changed_tenants, claims_made
from gateway.snapshot.clients import ClientIndex
from gateway.snapshot.compiled import CompiledTenant
from gateway.snapshot.health_checks import HealthCheck
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.secrets import credentials_in
from gateway.snapshot.settings import GatewaySettings, settings_of
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import BreakerName, ProviderName
from gateway.snapshot.tables import TenantTable
from gateway.snapshot.withheld import Withheld


def snapshot_of(
    tenants: Mapping[str, CompiledTenant],
    gateway: GatewayDocument | None,
    judgement: Judgement,
    withheld: Withheld,
    missing: Sequence[Tenant],
    last: Snapshot | None,
    running: Mapping[str, CompiledTenant],
    pace: Callable[[], None],
) -> Snapshot:
    """Put the snapshot together.

    :param missing: documents of tenants that have nothing to run on.
    :param withheld: hosts that are named by files that are not used.
    :param last: the snapshot that runs, if there is one; what would be made of the same things is taken from it.
    :param running: what it was made of.
    :param pace: called after each tenant; it may wait.
    """
    documents: list[Tenant] = []
    destinations: dict[Destination, PoolLimits] = {}
    breaker_names: set[BreakerName] = set()
    health_checks: dict[ProviderName, HealthCheck] = {}
    for tenant in tenants.values():
        if tenant.resources.document is not None:
            documents.append(tenant.resources.document)
        destinations.update(tenant.pool_limits)
        breaker_names.update(tenant.breaker_names)
        health_checks.update(tenant.table.health_checks)
        pace()
    if last is not None and judgement.is_undisputed:
        anonymous = _changed(last.anonymous, tenants, running)
    else:
        anonymous = _anonymous(tenants, judgement, pace)
    settings = settings_of(gateway)
    left_out = {claim.value for _, claim in judgement.left_out if claim.kind == "host"}
    return Snapshot(
        tenants=MappingProxyType({name: tenant.table for name, tenant in tenants.items()}),
        anonymous=anonymous,
        withheld=_patterns(withheld.from_everybody | left_out, anonymous),
        withheld_from={
            name: _patterns(hosts, tenants[name].table.routes)
            for name, hosts in withheld.from_clients.items()
            if name in tenants
        },
        settings=settings,
        destinations=MappingProxyType(destinations),
        breaker_names=frozenset(breaker_names),
        health_checks=MappingProxyType(health_checks),
        clients=_clients(tuple(documents), judgement, tuple(missing), last, pace),
        credentials=_credentials(tenants.values(), settings, pace),
    )


def _credentials(
    tenants: Collection[CompiledTenant], settings: GatewaySettings, pace: Callable[[], None]
) -> frozenset[bytes]:
    """Of all tenants and of the gateway itself, where somebody's exchanges are kept."""
    if all(tenant.table.capture is None for tenant in tenants):
        return frozenset()
    found = set(credentials_in(settings.tracing.headers) if settings.tracing is not None else ())
    for tenant in tenants:
        found |= tenant.credentials
        pace()
    return frozenset(found)


def _patterns(hosts: Iterable[str], answered: HostTable[Any]) -> HostTable[str]:
    """Those that nobody answers for."""
    return HostTable((host, host) for host in sorted(hosts) if host not in answered)


def _anonymous(
    tenants: Mapping[str, CompiledTenant], judgement: Judgement, pace: Callable[[], None]
) -> HostTable[TenantTable]:
    tables: dict[str, TenantTable] = {}
    for name, tenant in tenants.items():
        for claim in claims_made(tenant):
            if claim.kind == "host" and judgement.granted.get(claim) == name:
                tables[claim.value] = tenant.table
        pace()
    return HostTable(tables.items())


def _changed(
    last: HostTable[TenantTable],
    tenants: Mapping[str, CompiledTenant],
    running: Mapping[str, CompiledTenant],
) -> HostTable[TenantTable]:
    """The same as `_anonymous`, told from who has changed, where nothing is disputed."""
    changed = changed_tenants(tenants, running)
    gone = {
        claim.value for name in changed for claim in claims_made(running.get(name)) if claim.kind == "host"
    }
    come = {
        claim.value: tenants[name].table
        for name in changed
        for claim in claims_made(tenants.get(name))
        if claim.kind == "host"
    }
    return last.changed(gone, come.items()) if gone or come else last


def _clients(
    documents: tuple[Tenant, ...],
    judgement: Judgement,
    missing: tuple[Tenant, ...],
    last: Snapshot | None,
    pace: Callable[[], None],
) -> ClientIndex:
    if last is not None and last.clients.made_of == (documents, judgement.left_out, missing):
        return last.clients
    return ClientIndex(documents, judgement.left_out, missing, pace)
